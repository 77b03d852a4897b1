"""Lines of JSON in both directions. Imports only the standard library: other Pythons run this file too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any


class Channel:
    """Over descriptors that are not the standard streams, to which a model prints."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink

    def receive(self) -> dict[str, Any] | None:
        """The next line; None once the other side has closed its end. Unbuffered, so that a fork inherits no input."""
        line = b""
        while not line.endswith(b"\n"):
            data = os.read(self.source, 65536)
            if not data:
                return None
            line += data
        request: dict[str, Any] = json.loads(line)
        return request

    def send(self, line: Mapping[str, Any]) -> None:
        data = memoryview(json.dumps(line).encode() + b"\n")
        while data:
            data = data[os.write(self.sink, data) :]

    def close(self) -> None:
        for descriptor in {self.source, self.sink}:
            os.close(descriptor)
