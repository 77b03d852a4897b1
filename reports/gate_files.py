"""Two benchmark files held against each other, as a table: a line a benchmark, and what such files can show."""

from __future__ import annotations

import math

from analyzer.regression.paired.decide import Rules
from analyzer.regression.paired.result import signed_percent
from analyzer.regression.unpaired.compare import ENOUGH, Compared, Files, verdicts
from analyzer.units import percent, seconds
from reports.table import Cell, Column, Name, Table
from reports.views import MISSING


def tables(files: Files) -> list[Table]:
    rows: list[tuple[Cell, ...]] = [
        (
            Name(one.name),
            MISSING if one.before_s is None else seconds(one.before_s),
            MISSING if one.after_s is None else seconds(one.after_s),
            MISSING if one.change is None else f"{100 * one.change:+.1f} %",
            bounds(one, files.rules),
            MISSING if one.smallest is None else percent(one.smallest),
            one.outcome,
        )
        for one in files.compared
    ]
    columns = (
        Column("benchmark", "left", cut="start"),
        Column("base"),
        Column("now"),
        Column("change"),
        Column("99 % bounds"),
        Column("shows"),
        Column("outcome", "left"),
    )
    return [Table(headline(files), columns, tuple(rows), notes=tuple(notes(files)))]


def headline(files: Files) -> str:
    """`Benchmarks failed: 1 regressed, 9 unclear`."""
    outcomes = [one.outcome for one in files.compared]
    said = ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes)) or "there is none"
    return f"Benchmarks {'failed' if files.failures else 'incomparable' if files.apart else 'passed'}: {said}"


def line(one: Compared, rules: Rules) -> str:
    """`time 5.120 ms → 7.391 ms, +44.4 % (+20.1 to +61.0 %), regressed`."""
    if one.estimate is None:
        return one.reason or one.outcome
    times = " → ".join(seconds(value) for value in (one.before_s or 0.0, one.after_s or 0.0))
    return f"time {times}, {100 * (one.change or 0.0):+.1f} % ({bounds(one, rules)}), {one.outcome}"


def bounds(one: Compared, rules: Rules) -> str:
    if one.estimate is None:
        return MISSING
    low, high = (100 * math.expm1(bound) for bound in (one.estimate.low(rules.alpha), one.estimate.high(rules.alpha)))
    return f"{low:+.0f} to {high:+.0f} %"


def notes(files: Files) -> list[str]:
    if files.apart:
        return [f"{files.head} and {files.base} are of two machines: {files.apart}."]
    found = [f"{one.name}: {one.reason}" for one in files.compared if one.reason]
    if files.shared is not None:
        found.append(together(files))
    known = [one.smallest for one in files.compared if one.smallest is not None]
    if known:
        size = percent(min(known)) if len(known) == 1 else f"{percent(min(known))} to {percent(max(known))}"
        learnt = "" if files.shared is not None else f" With {ENOUGH} benchmarks or more they show smaller ones."
        found.append(
            f"{files.head} against {files.base}: two runs that are not paired cannot show small changes. These find "
            f"growth of {size} 95 times in 100, by benchmark (shows).{learnt} analyze check --base times two commits "
            "side by side."
        )
    return found


def together(files: Files) -> str:
    """What all benchmarks share: it is in no benchmark's bounds."""
    return (
        f"All benchmarks together: {signed_percent(files.shared)}, which may be the machine or what they all use. "
        "Bounds are of what each did beyond that."
    )


def sheet(files: Files) -> Table:
    """For CSV: a line a verdict."""
    keys = ("model", "metric", "before", "after", "low", "high", "outcome")
    rows = tuple(
        tuple("" if getattr(v, key) is None else str(getattr(v, key)) for key in keys) for v in verdicts(files)
    )
    return Table("verdicts", tuple(Column(key, "left") for key in keys), rows)
