"""Hands a check's result to GitHub Actions: annotations, and Markdown on the job's summary page."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from analyzer.core.errors import one_line
from analyzer.regression.outcome import CheckResult
from reports.regression import markdown
from reports.regression.workflow_commands import MAX_SUMMARY_BYTES, annotation_commands, command


def publish(result: CheckResult, environment: Mapping[str, str]) -> str:
    """Prints annotations to standard error, which the runner reads too, and appends to the summary page.

    Returns a message if the page cannot be written, else an empty text.
    """
    for line in annotation_commands(result):
        print(line, file=sys.stderr)
    return _append(markdown.dump(result, MAX_SUMMARY_BYTES) + "\n", environment)


def publish_message(title: str, message: str, environment: Mapping[str, str], *, failed: bool) -> None:
    """The same for a check without a result: an error, or a notice why nothing was compared."""
    print(command("error" if failed else "notice", title, one_line(message)), file=sys.stderr)
    _append(f"### {title}\n\n```text\n{one_line(message)}\n```\n", environment)


def _append(text: str, environment: Mapping[str, str]) -> str:
    if path := environment.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8") as page:
                page.write(text)
        except OSError as error:
            return f"cannot write the job's summary: {error.strerror or error}"
    return ""
