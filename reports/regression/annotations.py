"""What GitHub Actions shows beside a job: `::error` lines, the summary page, and keeping names from being commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from analyzer.core.errors import one_line
from analyzer.regression.counts.result import Result
from reports.regression.junit import line

MOST_LINES = 12
# GitHub refuses a summary of more than 1 MiB, and then shows none at all; a comment holds 65,536 characters.
SUMMARY_BYTES = 1_000_000
MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
PROPERTY = {**MESSAGE, ":": "%3A", ",": "%2C"}


def active(environment: Mapping[str, str]) -> bool:
    return environment.get("GITHUB_ACTIONS") == "true"


def commands(result: Result) -> list[str]:
    """An `::error` a model that fails or cannot be counted: GitHub shows ten of a step, so that metrics share one."""
    found = []
    for model in result.models:
        lines = [line(verdict) for one in result.of(model) for verdict in one.verdicts if result.fails(verdict)]
        reasons = [one.reason for one in result.of(model) if model in result.errors]
        if lines or reasons:
            more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
            told = [*reasons[:1], *lines[:MOST_LINES], *more]
            title = f"{model}: {'regressed' if lines else 'cannot be counted'}"
            found.append(command("error", title, "\n".join(map(one_line, told))))
    return found


def command(kind: str, title: str, message: str) -> str:
    """One workflow command, its parts escaped as the runner undoes it."""
    return f"::{kind} title={_escaped(one_line(title), PROPERTY)}::{_escaped(message, MESSAGE)}"


def _escaped(text: str, signs: Mapping[str, str]) -> str:
    return "".join(signs.get(sign, sign) for sign in text)


def inert(text: str, form: str = "") -> str:
    """A page without workflow commands: a runner obeys `::` at the start of a line, and `##[` anywhere.

    JSON stays the same document: its strings hold no line breaks, and can write the second sign in another way.
    """
    if form == "json":
        return text.replace("##[", "#\\u0023[")
    return re.sub(r"(?m)^(\s*)::", r"\1: :", text).replace("##[", "## [")


def append_page(text: str, path: str) -> None:
    with Path(path).open("a", encoding="utf-8") as page:
        page.write(text + "\n")
