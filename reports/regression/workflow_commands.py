"""GitHub's workflow commands: a check's annotations, and how names in other output are kept from being commands."""

from __future__ import annotations

import re
from collections.abc import Mapping

from analyzer.core.errors import one_line
from analyzer.regression.benchmarks.compare_runs import BenchmarksResult
from analyzer.regression.outcome import CheckResult
from reports.regression.summary import describe
from reports.regression.times import shared_change

MAX_ANNOTATIONS = 10  # GitHub shows ten errors per step.
MAX_LINES = 12
# GitHub rejects a summary of more than 1 MiB entirely; a comment holds 65,536 characters.
MAX_SUMMARY_BYTES = 1_000_000
MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
PROPERTY = {**MESSAGE, ":": "%3A", ",": "%2C"}


def annotation_commands(result: CheckResult) -> list[str]:
    """An `::error` per model that fails or cannot be counted or timed; a `::warning` for inconclusive times."""
    if result.incomparable:
        return [command("error", f"{result.title}: incomparable", one_line(result.incomparable))]
    errors, warnings = [], []
    for model in result.models:
        checks = result.of(model)
        lines = [describe(change, check) for check in checks for change in check.changes if result.fails(change)]
        reasons = [check.reason for check in checks if check.error]
        if lines or reasons:
            more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
            title = f"{model}: {'regressed' if lines else f'cannot be {result.action}'}"
            message = "\n".join(map(one_line, [*reasons[:1], *lines[:MAX_LINES], *more]))
            errors.append(command("error", title, message))
        elif (
            result.inconclusive and result.outcome(model) == "inconclusive" and not isinstance(result, BenchmarksResult)
        ):
            message = checks[0].reason or describe(checks[0].changes[0], checks[0])
            warnings.append(command("warning", f"{model}: inconclusive", one_line(message)))
    if len(errors) > MAX_ANNOTATIONS:
        more_errors = len(errors) - MAX_ANNOTATIONS + 1
        errors[MAX_ANNOTATIONS - 1 :] = [command("error", f"{more_errors} more failed", "see the table")]
    if isinstance(result, BenchmarksResult) and result.shifted:
        warnings.append(command("warning", "all benchmarks together: inconclusive", shared_change(result)))
    return errors + warnings


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
