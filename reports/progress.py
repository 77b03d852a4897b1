"""A spinner for long work: on standard error, only on a terminal, only after two seconds."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console

PATIENCE_S = 2.0


class Progress:
    """`with Progress("verifying googlenet"):` – shows itself if the block takes longer than two seconds."""

    def __init__(self, description: str, console: Console | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.console = console or Console(stderr=True)
        self.status = self.console.status(description)
        self.timer = threading.Timer(patience_s, self.status.start)
        self.timer.daemon = True

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.timer.cancel()
        self.status.stop()
