"""A check as annotations on GitHub: an `::error` per model that fails; and the job's summary page."""

from __future__ import annotations

from analyzer.core.errors import one_line
from analyzer.regression.benchmarks.compare import BenchmarksResult
from analyzer.regression.outcome import CheckResult
from reports.regression.summary import describe
from reports.regression.times import shared_change
from reports.regression.workflow_commands import command

MAX_ANNOTATIONS = 10  # GitHub shows ten errors per step.
MAX_LINES = 12
# GitHub rejects a summary of more than 1 MiB entirely; a comment holds 65,536 characters.
MAX_SUMMARY_BYTES = 1_000_000


def annotation_commands(result: CheckResult) -> list[str]:
    """An `::error` per model that fails or cannot be counted or timed; a `::warning` for unclear times."""
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
        elif result.unclear and result.outcome(model) == "unclear" and not isinstance(result, BenchmarksResult):
            message = checks[0].reason or describe(checks[0].changes[0], checks[0])
            warnings.append(command("warning", f"{model}: unclear", one_line(message)))
    if len(errors) > MAX_ANNOTATIONS:
        more_errors = len(errors) - MAX_ANNOTATIONS + 1
        errors[MAX_ANNOTATIONS - 1 :] = [command("error", f"{more_errors} more failed", "see the table")]
    if isinstance(result, BenchmarksResult) and result.shifted:
        warnings.append(command("warning", "all benchmarks together: unclear", shared_change(result)))
    return errors + warnings
