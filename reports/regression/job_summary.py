"""Hands a check's result to GitHub Actions: annotations, and Markdown on the job's summary page."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from analyzer.regression.outcome import CheckResult
from reports.regression import markdown
from reports.regression.workflow_commands import MAX_SUMMARY_BYTES, annotation_commands


def publish(result: CheckResult, environment: Mapping[str, str]) -> str:
    """Prints annotations to standard error, which the runner reads too, and appends to the summary page.

    Returns a message if the page cannot be written, else an empty text.
    """
    for command in annotation_commands(result):
        print(command, file=sys.stderr)
    if path := environment.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8") as page:
                page.write(markdown.dump(result, MAX_SUMMARY_BYTES) + "\n")
        except OSError as error:
            return f"cannot write the job's summary: {error.strerror or error}"
    return ""
