"""What one timed cell is made of, as tables: its modules and its kinds of operators.

A part too short for the clock has no share. What bounds a part stands beside it where the machine was measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.units import intensity, percent, plain, scaled, seconds
from analyzer.records.record import Record, Row
from analyzer.records.timings import PRECISE, UNRESOLVED_S, Measurement, Timing
from analyzer.timing.machine.roofline import Ceilings, Work, place
from reports.counting.network import MISSING, OWN, TOP_LEVEL, is_open, tree_name
from reports.table import Cell, Column, Name, Share, Table

Limits = Callable[[Record], "Ceilings | None"]  # What bounds the parts of a record, where that is known.

Doubt = Callable[[Sequence[Timing]], "float | None"]  # Half of the interval of some timings together, in seconds.

Key = tuple[str, ...]  # "module" or "own" and a path; "between", a phase and an operator; or TOTAL.

TOTAL: Key = ("total",)
GAP = "(gap)"  # In brackets, since a module may be called so.
NOISY = 5  # Of those that are, the worst are named.


def cell_of(record: Record) -> Measurement:
    assert record.measurement is not None
    return record.measurement


class Part(Frozen):
    """Some tiles and gaps together: which, their time, and the work of the rows they hold."""

    timings: tuple[Timing, ...]
    seconds: float
    macs: int
    flops: int
    works: tuple[Work, ...]


def part(rows: Sequence[Row], times: Mapping[Timing, float], phase: str = "") -> Part:
    """`rows` and the seconds of their tiles; of one phase of a training step alone only that one's work."""
    forward, backward = phase in ("", "forward"), phase in ("", "backward")
    return Part(
        tuple(times),
        sum(times.values()),
        sum(row.macs for row in rows) if forward else 0,
        sum(forward * row.flops + backward * 2 * (row.backward_macs or 0) for row in rows),
        tuple((row.flops, row.bytes_read, row.bytes_written) for row in rows) if forward else (),
    )


def work(rows: Sequence[Row]) -> int:
    """FLOPs forward, and twice the multiply-adds of the backward pass where one was counted."""
    return sum(row.flops + 2 * (row.backward_macs or 0) for row in rows)


def modules(record: Record, depth: int, ceilings: Ceilings | None) -> Table:
    """A row a module down to `depth`; what runs between operators is a row of its own."""
    cell = cell_of(record)
    found = module_parts(record, depth)
    doubt = _doubts(cell)
    figures = _figures(record, found[TOTAL][1], ceilings, doubt)
    rows = tuple((name, *figures(part)) for name, part in found.values())
    title = f"{record.label}: {cell.configuration.label}, {cell.trust[0]}"
    notes = (*_noisy(cell, found, doubt), *_bounds(ceilings))
    return Table(title, _columns("module", record, ceilings), rows, total=True, notes=notes)


def module_parts(record: Record, depth: int) -> dict[Key, tuple[Name, Part]]:
    """Parts by what they are of, which their names alone do not tell. The last is TOTAL."""
    parts = cell_of(record).parts
    found: dict[Key, tuple[Name, Part]] = {}
    shown = {module.path: name for module in record.modules if (name := tree_name(module.path, "", depth))}
    for path, name in shown.items():
        rows = [row for row in record.rows if row.path == path or row.path.startswith(f"{path}.")]
        times = {one: time for one, time in parts.items() if one.path == path or one.path.startswith(f"{path}.")}
        found["module", path] = (name, part(rows, times))
        if is_open(record, path, "", depth):
            own = {one: time for one, time in times.items() if one.path == path}
            if sum(own.values()) >= UNRESOLVED_S:
                itself = part([row for row in rows if row.path == path], own)
                found["own", path] = (Name(OWN, name.depth + 1), itself)
    several = len({one.phase for one in parts}) > 1
    for (phase, op), own in _between(parts).items():
        text = (f"{TOP_LEVEL} {op}" if op != "gap" else GAP) + (f", {phase}" if several else "")
        rows = [row for row in record.rows if not row.path and row.op == op]
        found["between", phase, op] = (Name(text), part(rows, own, phase))
    found[TOTAL] = (Name("total"), part(record.rows, parts))
    return found


def _noisy(cell: Measurement, found: Mapping[Key, tuple[Name, Part]], doubt: Doubt) -> tuple[str, ...]:
    """Says which parts of a trusted cell are known less well than what is trusted."""
    if cell.trust[0] != "trusted":
        return ()
    unsure: list[tuple[float, str]] = []
    for key, (name, part) in found.items():
        half = doubt(part.timings) if part.seconds >= UNRESOLVED_S else None
        if half is not None and half > PRECISE * part.seconds:
            texts = {"module": key[-1], "own": f"{key[-1]} {OWN}"}
            unsure.append((half / part.seconds, texts.get(key[0], name.text)))
    if not unsure:
        return ()
    worst = sorted(unsure, reverse=True)
    listed = ", ".join(f"{text} (± {_doubt(share)})" for share, text in worst[:NOISY])
    more = f" and {len(worst) - NOISY} more" if len(worst) > NOISY else ""
    return (f"Noisy, another run may well say otherwise: {listed}{more}.",)


def _bounds(ceilings: Ceilings | None) -> tuple[str, ...]:
    """What the last two columns say."""
    if ceilings is None:
        return ()
    ratio = "FLOP/B: FLOPs per byte moved."
    if ceilings.published:
        source = f"published figures of {ceilings.source}, with its data in memory, not a forecast"
        return (f"{ratio} At least: what a part takes at the least by {source}; and what bounds most of it.",)
    return (
        f"{ratio} Of bound: how much of what the ceilings measured here allow a part reaches, and which bounds most of "
        "it. Ceilings are products of matrices and copies: what beats them reaches more than 100 %.",
    )


def _between(parts: Mapping[Timing, float]) -> dict[tuple[str, str], dict[Timing, float]]:
    """Times of what belongs to no module: gaps, the optimizer, operators of the model itself."""
    found: dict[tuple[str, str], dict[Timing, float]] = defaultdict(dict)
    for one, time in parts.items():
        if not one.path:
            found[one.phase, one.op][one] = time
    return found


def operators(record: Record, ceilings: Ceilings | None) -> Table:
    """A row a kind of operator, the longest first."""
    found = by_kind(record)
    whole = part(record.rows, cell_of(record).parts)
    figures = _figures(record, whole, ceilings, _doubts(cell_of(record)))
    rows = tuple((Name(name), *figures(found[name])) for name in _longest(found))
    return Table("By kind of operator", _columns("operator", record, ceilings), rows)


def _longest(found: Mapping[str, Part]) -> list[str]:
    return sorted(found, key=lambda name: (rank(found[name].seconds), name))


def by_kind(record: Record) -> dict[str, Part]:
    parts = cell_of(record).parts
    named = {(row.path, row.op, row.call): row for row in record.rows}
    times: dict[str, dict[Timing, float]] = defaultdict(dict)
    rows: dict[str, list[Row]] = defaultdict(list)
    several: dict[str, tuple[float, str]] = {}
    for one, time in parts.items():
        op = one.op if one.kind == "tile" else GAP
        times[op][one] = time
        if one.kind != "tile" or one.phase != "forward":
            continue
        if row := named.pop((one.path, one.op, one.call), None):
            rows[op].append(row)
        else:  # A view, which makes no row, or several rows under one name, as attention does: that takes longer.
            several[one.path] = max(several.get(one.path, (0.0, "")), (time, op))
    for row in named.values():
        if row.path in several:
            rows[several[row.path][1]].append(row)
    return {op: part(rows[op], times[op]) for op in times}


def _columns(first: str, record: Record, ceilings: Ceilings | None) -> tuple[Column, ...]:
    macs = "MACs" if record.mode == "inference" else "fwd MACs"
    # Of a path the end tells more. Beside bounds there is no room for bars in 80 columns.
    share = Column("share", "right" if ceilings else "left")
    counts, times = (Column(macs), Column("share")), (Column("time"), Column("±"), share)
    columns = (Column(first, "left", "start"), *counts, *times, Column("GFLOP/s"))
    if ceilings is None:
        return columns
    return (*columns, Column("FLOP/B"), Column("at least" if ceilings.published else "of bound", "left"))


def _doubts(cell: Measurement) -> Doubt:
    from analyzer.timing.statistics import doubts  # Numpy, which the page does without.

    return doubts(cell)


def _figures(
    record: Record, whole: Part, ceilings: Ceilings | None, doubt: Doubt
) -> Callable[[Part], tuple[Cell, ...]]:
    """Of each part: MACs with their share, time with its doubt and share, FLOP/s, where it stands on the roofline."""

    def figures(part: Part) -> tuple[Cell, ...]:
        resolved = part.seconds >= UNRESOLVED_S
        share = part.seconds / whole.seconds if resolved and whole.seconds else None
        unsure = doubt(part.timings) if resolved else None
        cells: tuple[Cell, ...] = (
            scaled(part.macs) if part.macs else MISSING,
            share_of_macs(part, whole),
            time_of(part.seconds),
            MISSING if unsure is None else _doubt(unsure / part.seconds),
            MISSING if share is None else percent(share) if ceilings else Share(share),
            plain(part.flops / part.seconds / 1e9) if resolved and part.flops else MISSING,
        )
        return (*cells, *_bound(part, ceilings, resolved)) if ceilings else cells

    return figures


def _bound(part: Part, ceilings: Ceilings, resolved: bool) -> tuple[str, str]:
    """FLOPs per byte, and what is reached of what bounds it."""
    moved = sum(read + written for _, read, written in part.works)
    ratio = intensity(part.flops / moved) if moved and part.flops else MISSING
    found = place(part.works, part.seconds, ceilings) if resolved else None
    if found is None:
        return ratio, MISSING
    reached = seconds(found.reached * part.seconds) if ceilings.published else percent(found.reached)
    return ratio, f"{reached} {found.bound_by}"


def _doubt(share: float) -> str:
    """Whole percents are enough to know by, and there is no room for more."""
    return "<1 %" if share < 0.01 else f"{100 * share:.0f} %" if share < 1 else ">99 %"


def rank(value: float) -> float:
    """For sorting, the longest first; those too short for the clock stand last and have no order."""
    return -value if value >= UNRESOLVED_S else 0.0


def share_of_macs(part: Part, whole: Part) -> str:
    return percent(part.macs / whole.macs) if whole.macs and part.macs else MISSING


def time_of(value: float | None) -> str:
    """Too short for the clock and the cut, a part has no figure, and so no rank."""
    if value is None:
        return MISSING
    return seconds(value) if value >= UNRESOLVED_S else f"< {1e6 * UNRESOLVED_S:.0f} µs"
