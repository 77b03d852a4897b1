"""What one timed cell is made of, as tables: its modules, kinds of operators, kernels, and its modules alone.

A part too short for the clock has no share. What bounds a part stands beside it where the machine was measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from analyzer.frozen import Frozen
from analyzer.record import Record, Row
from analyzer.timing.roofline import Ceilings, Work, place
from analyzer.timings import UNRESOLVED_S, Timing
from analyzer.timings import Cell as TimedCell
from analyzer.units import intensity, percent, scaled, seconds
from reports.table import Cell, Column, Name, Share, Table
from reports.views import MISSING, OWN, TOP_LEVEL, is_open, tree_name

Limits = Callable[[Record], "Ceilings | None"]  # What bounds the parts of a record, where that is known.

GAP = "(gap)"  # In brackets, since a module may be called so.
KERNELS = 15


def cell_of(record: Record) -> TimedCell:
    assert record.cell is not None
    return record.cell


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
    title = f"{record.label}: {cell_of(record).setting.label}, {cell_of(record).verdict}"
    rows = module_rows(record, depth, ceilings)
    return Table(title, _columns("module", record, ceilings), tuple(rows.values()), total=True)


def module_rows(record: Record, depth: int, ceilings: Ceilings | None = None) -> dict[str, tuple[Cell, ...]]:
    """Rows by what they are of, which their names alone do not tell: a path, or a phase and operator of no module."""
    parts = cell_of(record).parts
    whole = part(record.rows, parts)
    figures = _figures(record, whole, ceilings)
    found: dict[str, tuple[Cell, ...]] = {}
    shown = {module.path: name for module in record.modules if (name := tree_name(module.path, "", depth))}
    for path, name in shown.items():
        rows = [row for row in record.rows if row.path == path or row.path.startswith(f"{path}.")]
        times = {one: time for one, time in parts.items() if one.path == path or one.path.startswith(f"{path}.")}
        found[path] = (name, *figures(part(rows, times)))
        if is_open(record, path, "", depth):
            own = {one: time for one, time in times.items() if one.path == path}
            if sum(own.values()) >= UNRESOLVED_S:
                itself = part([row for row in rows if row.path == path], own)
                found[f"{path} {OWN}"] = (Name(OWN, name.depth + 1), *figures(itself))
    several = len({one.phase for one in parts}) > 1
    for (phase, op), own in _between(parts).items():
        text = (f"{TOP_LEVEL} {op}" if op != "gap" else GAP) + (f", {phase}" if several else "")
        rows = [row for row in record.rows if not row.path and row.op == op]
        found[f"{phase} {op}"] = (Name(text), *figures(part(rows, own, phase)))
    found["total"] = (Name("total"), *figures(whole))
    return found


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
    figures = _figures(record, part(record.rows, cell_of(record).parts), ceilings)
    rows = tuple((Name(name), *figures(found[name])) for name in _longest(found))
    return Table("By kind of operator", _columns("operator", record, ceilings), rows)


def _longest(found: Mapping[str, Part]) -> list[str]:
    return sorted(found, key=lambda name: (_rank(found[name].seconds), name))


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


def _figures(record: Record, whole: Part, ceilings: Ceilings | None) -> Callable[[Part], tuple[Cell, ...]]:
    """Of each part: MACs with their share, time with its doubt and share, FLOP/s, where it stands on the roofline."""
    from analyzer.timing.statistics import doubts  # Numpy, which the page does without.

    doubt = doubts(cell_of(record))

    def figures(part: Part) -> tuple[Cell, ...]:
        resolved = part.seconds >= UNRESOLVED_S
        share = part.seconds / whole.seconds if resolved and whole.seconds else None
        unsure = doubt(part.timings) if resolved else None
        cells: tuple[Cell, ...] = (
            scaled(part.macs) if part.macs else MISSING,
            percent(part.macs / whole.macs) if whole.macs and part.macs else MISSING,
            _time(part.seconds),
            MISSING if unsure is None else _doubt(unsure / part.seconds),
            MISSING if share is None else percent(share) if ceilings else Share(share),
            f"{part.flops / part.seconds / 1e9:.3g}" if resolved and part.flops else MISSING,
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
    return f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"


def _rank(value: float) -> float:
    """For sorting, the longest first; those too short for the clock stand last and have no order."""
    return -value if value >= UNRESOLVED_S else 0.0


def _time(value: float | None) -> str:
    """Too short for the clock and the cut, a part has no figure, and so no rank."""
    if value is None:
        return MISSING
    return seconds(value) if value >= UNRESOLVED_S else f"< {1e6 * UNRESOLVED_S:.0f} µs"


def kernels(record: Record) -> list[Table]:
    """The kernels that take most, under the top-level module that ran them."""
    cell = cell_of(record)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in cell.of("kernel"):
        found[one.op, one.path.partition(".")[0] or TOP_LEVEL].append(one.median_s)
    if not found:
        return []
    total = sum(map(sum, found.values()))
    rows = tuple(
        (Name(kernel), path, f"{len(times)}", seconds(sum(times)), Share(sum(times) / total))
        for (kernel, path), times in sorted(found.items(), key=lambda item: -sum(item[1]))[:KERNELS]
    )
    note = f"By torch.profiler, whose own cost is in them; {min(KERNELS, len(found))} of {len(found)} shown."
    names = (Column("kernel", "left"), Column("module", "left"))
    columns = (*names, Column("places"), Column("time"), Column("share", "left"))
    return [Table(f"{record.label}: kernels, {cell.verdict}", columns, rows, notes=(note,))]


def replays(record: Record) -> list[Table]:
    """Each module alone, hot and flushed, beside its time in the pass; never part of its sums."""
    cell = cell_of(record)
    hot = {(one.path, one.op, one.call): one for one in cell.of("replay")}
    cold = {(one.path, one.op, one.call): one for one in cell.of("replay_cold")}
    if not hot:
        return []
    inside = {(one.path, one.op, one.call): time for one, time in cell.parts.items() if one.phase == "forward"}
    longest = sorted(hot, key=lambda key: _rank(hot[key].median_s))[:KERNELS]
    rows: list[tuple[Cell, ...]] = []
    for key in longest:
        flushed = cold[key].median_s if key in cold else None
        rows.append((Name(key[0]), _time(inside.get(key)), _time(hot[key].median_s), _time(flushed)))
    columns = (Column("module alone", "left"), Column("in the pass"), Column("hot"), Column("flushed"))
    note = "A what-if: by itself, its data in the caches or flushed from them. Not what it costs in its place."
    return [Table(f"{record.label}: replay, {cell.verdict}", columns, tuple(rows), notes=(note,))]
