"""Two benchmark files held against each other, as a table: a line a benchmark, and what such files can show."""

from __future__ import annotations

from analyzer.core.units import percent, seconds, signed_percent, times
from analyzer.regression.benchmarks.compare import ENOUGH, Compared, Files, ratio
from analyzer.regression.paired.sequential_test import Rules
from reports.counting.network import MISSING
from reports.table import Cell, Column, Name, Table

FACTOR = 9.0
NAMED, LONGEST = 8, 100


def tables(files: Files) -> list[Table]:
    rows: list[tuple[Cell, ...]] = [
        (
            Name(one.name),
            MISSING if one.before_s is None else seconds(one.before_s),
            MISSING if one.after_s is None else seconds(one.after_s),
            MISSING if one.change is None else growth(one.change, 1),
            bounds(one, files.rules),
            MISSING if one.estimate is None else shows(one.smallest),
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
    compared = any(one.estimate for one in files.compared)
    return f"Benchmarks {'failed' if files.failures else 'passed' if compared else 'incomparable'}: {said}"


def line(one: Compared, rules: Rules) -> str:
    """`time 5.120 ms → 7.391 ms, +44.4 % (+20.1 to +61.0 %), regressed`."""
    if one.estimate is None:
        return one.reason or one.outcome
    times = " → ".join(seconds(value) for value in (one.before_s or 0.0, one.after_s or 0.0))
    return f"time {times}, {growth(one.change or 0.0, 1)} ({bounds(one, rules)}), {one.outcome}"


def bounds(one: Compared, rules: Rules) -> str:
    if one.estimate is None:
        return MISSING
    low, high = (ratio(bound) for bound in (one.estimate.low(rules.alpha), one.estimate.high(rules.alpha)))
    return f"{growth(None if low is None else low - 1)} to {growth(None if high is None else high - 1)}"


def growth(change: float | None, digits: int = 0) -> str:
    """A ratio less 1: in percent, and as a factor where percents would be a row of digits."""
    if change is None:
        return "any"
    return f"{100 * change:+.{digits}f} %" if change < FACTOR else times(1 + change)


def shows(smallest: float | None) -> str:
    return "nothing" if smallest is None else percent(smallest) if smallest < FACTOR else times(1 + smallest)


def notes(files: Files) -> list[str]:
    if files.apart:
        return [f"{files.head} and {files.base} are of two machines: {files.apart}."]
    found = []
    for reason in dict.fromkeys(one.reason for one in files.compared if one.reason):
        names = [one.name for one in files.compared if one.reason == reason]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        found.append(f"{reason[0].upper()}{reason[1:]}: {', '.join(map(_short, names[:NAMED]))}{more}.")
    if files.shared is not None:
        found.append(together(files))
    if any(one.estimate for one in files.compared):
        learnt = "" if files.shared is not None else f" With {ENOUGH} benchmarks or more they show smaller ones."
        found.append(
            f"{files.head} against {files.base}: two runs that are not paired cannot show small changes. These find "
            f"{_found(files)}.{learnt} analyze check --base times two commits side by side. Times: medians of the "
            "fastest of each ten samples."
        )
    return found


def _found(files: Files) -> str:
    """`growth of 18.5 % to 20.3 % 95 times in 100, by benchmark (shows)`."""
    known = sorted(one.smallest for one in files.compared if one.smallest is not None)
    if not known:
        return "none (shows)"
    if any(one.estimate and one.smallest is None for one in files.compared):
        size = f"{shows(known[0])} at best"
    else:
        size = " to ".join(dict.fromkeys((shows(known[0]), shows(known[-1]))))
    return f"growth of {size} 95 times in 100, by benchmark (shows)"


def together(files: Files) -> str:
    """What all benchmarks share: it is in no benchmark's bounds."""
    return (
        f"All benchmarks together: {signed_percent(files.shared)}, which may be the machine or what they all use. "
        "Bounds are of what each did beyond that."
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
