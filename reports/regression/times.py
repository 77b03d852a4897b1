"""Checks of times as tables: a time check, its self-test, and a comparison of two benchmark files."""

from __future__ import annotations

import math

from analyzer.core.units import percent, seconds
from analyzer.regression.benchmarks.compare_runs import MIN_BENCHMARKS, BenchmarkCheck, BenchmarksResult
from analyzer.regression.outcome import Change, CheckResult
from analyzer.regression.paired.time_result import TimeCheck, TimeResult
from reports import cells
from reports.cells import interval_text, ratio_text
from reports.counting.groups import TOP_LEVEL
from reports.regression.summary import bounds_text, headline, label, pairs_text
from reports.table import MISSING, Cell, Row, Table, columns

MAX_NAMES, MAX_NAME_LENGTH = 8, 100
MAX_MODULES = 12
BOUNDS = "99 % bounds"


def time_table(result: TimeResult) -> Table:
    rows = tuple(
        (*_times(check.changes[0], label(result, check.model)), _change_text(check.wall_change), pairs_text(check))
        for check in result.checks
    )
    rules, where = result.rules, "one thread" if result.device == "cpu" else result.device
    notes = (
        *_reasons(result),
        f"{result.head} against {result.base}: {_device_time(result)} of a pass on {where}, in pairs of fresh "
        f"processes. regressed: the 99 % lower bound exceeds +{percent(rules.tolerance)}; "
        f"unchanged: the 99 % upper bound is below +{percent(rules.limit)}."
        + (f" Lower bounds are corrected for {rules.models} models (Holm)." if rules.models > 1 else ""),
        *(
            ["inconclusive: neither holds. --time-budget auto measures until one does; --strict fails."]
            if result.inconclusive
            else []
        ),
        *(
            f"{check.model}: base and head have equal counts; the same operators take longer."
            for check in result.checks
            if check.counts and not check.counts.differs
        ),
        *result.notes,
    )
    header = columns(
        "model", "outcome", "base", "head", "change", BOUNDS, "wall", "pairs", left=("outcome",), cut="start"
    )
    return Table(headline(result), header, rows, notes=notes)


def self_test_table(result: TimeResult) -> Table:
    rows: list[Row] = []
    for check in result.checks:
        change, estimate, detectable = check.changes[0], check.estimate, result.minimum_detectable_change(check)
        spread = estimate.standard_error * math.sqrt(estimate.pairs) if estimate else None
        rows.append(
            (
                Cell(check.model),
                cells.duration(change.before),
                MISSING if spread is None else percent(spread),
                str(result.pairs_in_budget(check)),
                "too few pairs" if detectable is None else _change_text(detectable),
                ratio_text(change.ratio),
                bounds_text(change),
            )
        )
    budget = f"{result.budget_s:g} s"
    notes = (
        *_reasons(result),
        f"{result.base} against itself. spread: standard deviation of a pair's log ratio. detectable: the smallest "
        f"growth that the pairs of {budget} detect with probability 0.95 at a tolerance of "
        f"{percent(result.rules.tolerance)}. measured: should be 0 %.",
        *result.notes,
    )
    titles = ("model", _device_time(result), "spread", f"pairs in {budget}", "detectable", "measured", BOUNDS)
    return Table("What a time check can detect on this machine", columns(*titles), tuple(rows), notes=notes)


def module_table(check: TimeCheck) -> Table:
    rows: list[Row] = []
    for module in check.modules[:MAX_MODULES]:
        bounds = MISSING
        if module.low is not None and module.high is not None:
            bounds = interval_text(*(_difference(bound) for bound in (module.low, module.high)))
        times = map(cells.duration, (module.base_s, module.head_s))
        rows.append((Cell(module.path or TOP_LEVEL), *times, _difference(module.difference_s), bounds))
    notes = ["Time of a module itself, without its submodules; 99 % bounds, with Holm's correction for all modules."]
    if len(check.modules) > MAX_MODULES:
        notes.append(f"{len(check.modules) - MAX_MODULES} modules with smaller differences are left out.")
    header = columns("module", "base", "head", "difference", BOUNDS, cut="start")
    return Table(f"{check.model}: modules whose own time changed", header, tuple(rows), notes=tuple(notes))


def _difference(difference_s: float) -> str:
    return ("+" if difference_s >= 0 else "-") + seconds(abs(difference_s))


def benchmark_table(result: BenchmarksResult) -> Table:
    rows = tuple((*_times(check.changes[0], check.outcome), _detectable(check)) for check in result.checks)
    titles = ("benchmark", "outcome", "base", "now", "change", BOUNDS, "detectable")
    header = columns(*titles, left=("outcome",), cut="start")
    return Table(headline(result), header, rows, notes=tuple(_benchmark_notes(result)))


def shared_change(result: BenchmarksResult) -> str:
    """The change that all benchmarks share; no benchmark's bounds include it."""
    return (
        f"All benchmarks together: {ratio_text(math.exp(result.shared_log_ratio or 0.0))}, which may be the machine or "
        "code that they all use. Bounds are relative to it."
    )


def _times(change: Change, outcome: str) -> Row:
    """The outcome comes second, since a narrow terminal leaves out the last columns."""
    times = map(cells.duration, (change.before, change.after))
    return Cell(change.model), outcome, *times, ratio_text(change.ratio), bounds_text(change)


def _change_text(change: float | None) -> str:
    return MISSING if change is None else ratio_text(1 + change)


def _device_time(result: TimeResult) -> str:
    return "CPU time" if result.device == "cpu" else "GPU time"


def _detectable(check: BenchmarkCheck) -> str:
    if check.estimate is None:
        return MISSING
    return "nothing" if check.minimum_detectable_change is None else _change_text(check.minimum_detectable_change)


def _reasons(result: CheckResult) -> list[str]:
    return [f"{check.model}: {check.reason}" for check in result.checks if check.reason]


def _benchmark_notes(result: BenchmarksResult) -> list[str]:
    if result.incomparable:
        return [f"{result.head} and {result.base} were measured on two machines: {result.incomparable}."]
    notes = []
    for reason in dict.fromkeys(check.reason for check in result.checks if check.reason):
        names = [check.model for check in result.checks if check.reason == reason]
        names = [name if len(name) <= MAX_NAME_LENGTH else f"…{name[1 - MAX_NAME_LENGTH :]}" for name in names]
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        notes.append(f"{reason[0].upper()}{reason[1:]}: {', '.join(names[:MAX_NAMES])}{more}.")
    if result.shared_log_ratio is not None:
        notes.append(shared_change(result))
    if any(check.estimate for check in result.checks):
        hint = f" {MIN_BENCHMARKS} benchmarks or more detect smaller ones." if result.shared_log_ratio is None else ""
        notes.append(
            f"{result.head} against {result.base}: two runs that are not paired cannot show small changes. "
            f"detectable: growth that is detected with probability 0.95.{hint} Lower bounds are corrected for the "
            "number of benchmarks (Holm). analyze check --base compares two commits in pairs. Times: medians of the "
            "minima of groups of ten samples."
        )
    return notes
