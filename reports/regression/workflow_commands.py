"""GitHub's workflow commands such as `::error`: writing them, and keeping names in other output from being any."""

from __future__ import annotations

import re
from collections.abc import Mapping

from analyzer.core.errors import one_line

MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
PROPERTY = {**MESSAGE, ":": "%3A", ",": "%2C"}


def in_actions(environment: Mapping[str, str]) -> bool:
    return environment.get("GITHUB_ACTIONS") == "true"


def command(kind: str, title: str, message: str) -> str:
    """One workflow command, its parts escaped as the runner decodes them."""
    return f"::{kind} title={_escape(one_line(title), PROPERTY)}::{_escape(message, MESSAGE)}"


def _escape(text: str, replacements: Mapping[str, str]) -> str:
    return "".join(replacements.get(char, char) for char in text)


def neutralize(text: str, form: str = "") -> str:
    """The text without workflow commands: a runner executes `::` at the start of a line, and `##[` anywhere.

    JSON stays equivalent: its strings hold no line breaks, and may write the second `#` as an escape sequence.
    """
    if form == "json":
        return text.replace("##[", "#\\u0023[")
    return re.sub(r"(?m)^(\s*)::", r"\1: :", text).replace("##[", "## [")
