"""A check in a headline, and a change in a line; every renderer uses both."""

from __future__ import annotations

from collections import Counter

from analyzer.core.units import seconds
from analyzer.regression.outcome import Change, CheckResult, ModelCheck
from analyzer.regression.paired.time_result import TimeCheck
from reports.cells import interval_text, ratio_text
from reports.table import MISSING


def headline(result: CheckResult) -> str:
    """`Check failed: 1 regressed, 9 unchanged`, or `Check: nothing to compare, 3 new`."""
    counts = outcome_counts(result)
    if conclusion(result) == "incomparable" and result.checks and all(check.missing for check in result.checks):
        return f"{result.title}: nothing to compare, {counts}"
    return f"{result.title} {conclusion(result)}: {counts}"


def outcome_counts(result: CheckResult) -> str:
    """`1 regressed, 9 unchanged`."""
    labels = Counter(label(result, model) for model in result.models)
    return ", ".join(f"{count} {name}" for name, count in labels.items()) or "no models"


def conclusion(result: CheckResult) -> str:
    """The whole check in a word; `inconclusive` if it shows neither growth nor its absence."""
    if result.failures:
        return "failed"
    if result.status == "partial":
        return "incomplete"
    if result.updated:
        return "updated"
    compared = any(change.outcome != "incomparable" for change in result.changes)
    return "inconclusive" if result.inconclusive else "passed" if compared else "incomparable"


def label(result: CheckResult, model: str) -> str:
    """A model's outcome; if it is incomparable, why."""
    outcome = result.outcome(model)
    check = result.of(model)[0]
    if outcome != "incomparable":
        return outcome
    if check.error:
        return f"not {result.action}"
    return new_or_removed(check) if check.missing else outcome


def new_or_removed(check: ModelCheck) -> str:
    if isinstance(check, TimeCheck):
        return "new" if check.sample.missing == "base" else "removed"
    if any(change.before is None for change in check.changes):
        return "new"
    both = bool(check.changes) and all(change.after is not None for change in check.changes)
    return "incomparable" if both else "removed"  # Both files have a benchmark whose time is 0.


def describe(change: Change, check: ModelCheck | None = None) -> str:
    """`conv1 conv2d: macs 1,505,280 → 3,010,560, regressed`; `time 5.12 ms → 7.39 ms, +44.4 % (+20.1 % to …), …`."""
    if change.metric.endswith("time"):
        values = " → ".join("none" if value is None else seconds(value) for value in (change.before, change.after))
        pairs = f", {pairs_text(check)} pairs" if isinstance(check, TimeCheck) else ""
        return f"{change.metric} {values}, {ratio_text(change.ratio)} ({bounds_text(change)}){pairs}, {change.outcome}"
    before, after = ("none" if value is None else f"{value:,}" for value in (change.before, change.after))
    if change.budget is not None:
        return f"{change.path}: {change.metric} {after}, budget {change.budget:,}, {change.outcome}"
    where = f"{change.path or '(top level)'}{f' {change.op}' if change.op else ''}"
    where += f" #{change.call}" if change.call > 1 else ""
    return f"{where}: {change.metric} {before} → {after}, {change.outcome}"


def bounds_text(change: Change) -> str:
    if change.low is None and change.high is None:
        return MISSING
    return interval_text(*("any" if bound is None else ratio_text(bound) for bound in (change.low, change.high)))


def pairs_text(check: TimeCheck) -> str:
    confirmation = f"+{len(check.confirmation.pairs)}" if check.confirmation else ""
    return f"{len(check.sample.pairs)}{confirmation}"
