"""The time of one pass by module and by kind of operator, as tables, with the roofline if it was measured.

Operators too short to be resolved have no time and no share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.core.units import intensity, percent, plain, rate, scaled, seconds
from analyzer.records.record import Record
from analyzer.records.rows import Row, prefixes
from analyzer.records.timings import MIN_RESOLVED_S, TRUSTED_HALF_WIDTH, Measurement, Timing
from analyzer.timing.machine.operator_bounds import Works, bounds, works_of
from analyzer.timing.machine.roofline import Ceilings, roofline_point
from reports.counting.groups import OWN_FORWARD, TOP_LEVEL
from reports.counting.tree import tree_name
from reports.table import MISSING, Cell, Column, Table
from reports.table import Row as TableRow

CeilingsOf: TypeAlias = Callable[[Record], Ceilings | None]
HalfWidth: TypeAlias = Callable[[Sequence[Timing]], float | None]  # Of the operators' summed time, in seconds.
Key: TypeAlias = tuple[str, ...]  # "module" or "own" and a path; "between", a phase and an operator; or TOTAL.

TOTAL: Key = ("total",)
OVERHEAD = "(overhead)"  # In parentheses, because a module may have the name "overhead".
MAX_NOISY = 5  # Names in the note on noisy modules.


def measurement_of(record: Record) -> Measurement:
    assert record.measurement is not None
    return record.measurement


class Group(Frozen):
    """Operators and overhead that make one row: their timings, summed time, and the work of their rows."""

    timings: tuple[Timing, ...]
    seconds: float
    macs: int
    flops: int
    works: tuple[Works, ...]


def group(rows: Sequence[Row], times_s: Mapping[Timing, float], phase: str = "") -> Group:
    """`rows` with the times of their operators; `phase` limits the work to that phase of a training step."""
    forward, backward = phase in ("", "forward"), phase in ("", "backward")
    return Group(
        tuple(times_s),
        sum(times_s.values()),
        sum(row.macs for row in rows) if forward else 0,
        sum(forward * row.flops + backward * 2 * (row.backward_macs or 0) for row in rows),
        tuple(map(works_of, rows)) if forward else (),
    )


def total_flops(rows: Sequence[Row]) -> int:
    """Forward FLOPs, and 2 per MAC of the backward pass where it was counted."""
    return sum(row.flops + 2 * (row.backward_macs or 0) for row in rows)


def modules(record: Record, depth: int, ceilings: Ceilings | None) -> Table:
    """One row per module down to `depth`, one for each operator outside modules, and one for overhead."""
    measurement = measurement_of(record)
    groups = module_groups(record, depth)
    half_width = _half_width(measurement)
    cells = _cells(record, groups[TOTAL][1], ceilings, half_width)
    rows = tuple((name, *cells(group)) for name, group in groups.values())
    title = f"{record.label}: {measurement.configuration.label}, {measurement.operator_quality[0]}"
    notes = (*_noisy(measurement, groups, half_width), *_roofline_note(ceilings))
    return Table(title, _columns("module", record, ceilings), rows, total=True, notes=notes)


def module_groups(record: Record, depth: int) -> dict[Key, tuple[Cell, Group]]:
    """Name and group of each row, by a key that is unique where names are not. The last key is TOTAL."""
    times_s = measurement_of(record).operator_times_s
    groups: dict[Key, tuple[Cell, Group]] = {}
    paths = _timed_paths(record, times_s)
    shown = {path: name for path in paths if (name := tree_name(path, "", depth))}
    for path, name in shown.items():
        rows = [row for row in record.rows if f"{row.path}.".startswith(f"{path}.")]
        inside = {timing: time_s for timing, time_s in times_s.items() if f"{timing.path}.".startswith(f"{path}.")}
        groups["module", path] = (name, group(rows, inside))
        if tree_name(f"{path}.child", "", depth) and any(other.startswith(f"{path}.") for other in paths):
            own_times_s = {timing: time_s for timing, time_s in inside.items() if timing.path == path}
            if sum(own_times_s.values()) >= MIN_RESOLVED_S:
                own_group = group([row for row in rows if row.path == path], own_times_s)
                groups["own", path] = (Cell(OWN_FORWARD, depth=name.depth + 1), own_group)
    between: dict[tuple[str, str], dict[Timing, float]] = defaultdict(dict)
    for timing, time_s in times_s.items():
        if not timing.path:
            between[timing.phase, timing.op][timing] = time_s
    phases = len({timing.phase for timing in times_s})
    for (phase, op), outside in between.items():
        text = OVERHEAD if op == "overhead" else f"{TOP_LEVEL} {op}"
        rows = [row for row in record.rows if not row.path and row.op == op]
        groups["between", phase, op] = (Cell(text + (f", {phase}" if phases > 1 else "")), group(rows, outside, phase))
    groups[TOTAL] = (Cell("total"), group(record.rows, times_s))
    return groups


def _timed_paths(record: Record, times_s: Mapping[Timing, float]) -> list[str]:
    """The modules with rows, in execution order, and after their siblings those without rows that take time of their
    own: Python or numpy in their forward."""
    paths = [module.path for module in record.modules]
    for timing, time_s in times_s.items():
        if timing.kind != "overhead" or time_s < MIN_RESOLVED_S:
            continue
        parts = timing.path.split(".")
        for length in range(1, len(parts) + 1):
            path, parent = ".".join(parts[:length]), ".".join([*parts[: length - 1], ""])
            if path and path not in paths:
                after = [index for index, other in enumerate(paths) if f"{other}.".startswith(parent)]
                paths.insert(after[-1] + 1 if after else len(paths), path)
    return paths


def kinds(record: Record, ceilings: Ceilings | None) -> Table:
    """One row per kind of operator, the longest first; unresolved ones last, by name."""
    groups = groups_by_kind(record)
    whole = group(record.rows, measurement_of(record).operator_times_s)
    cells = _cells(record, whole, ceilings, _half_width(measurement_of(record)))
    names = sorted(groups, key=lambda name: (sort_key(groups[name].seconds), name))
    rows = tuple((Cell(name), *cells(groups[name])) for name in names)
    return Table("By kind of operator", _columns("operator", record, ceilings), rows)


def groups_by_kind(record: Record) -> dict[str, Group]:
    """Operators grouped by `op`, overhead under OVERHEAD."""
    rows_by_key = record.rows_by_key()
    times_s: dict[str, dict[Timing, float]] = defaultdict(dict)
    rows: dict[str, list[Row]] = defaultdict(list)
    composite: dict[str, tuple[float, str]] = {}
    for timing, time_s in measurement_of(record).operator_times_s.items():
        op = timing.op if timing.kind == "operator" else OVERHEAD
        times_s[op][timing] = time_s
        if timing.kind != "operator" or timing.phase != "forward":
            continue
        if row := rows_by_key.pop(timing.key, None):
            rows[op].append(row)
        else:  # A view has no row. Attention has several, under other names, and is the longest of its module.
            composite[timing.path] = max(composite.get(timing.path, (0.0, "")), (time_s, op))
    for row in rows_by_key.values():
        # A fused module has the rows of its children.
        path = next((path for path in reversed(prefixes(row.path) or [""]) if path in composite), None)
        if path is not None:
            rows[composite[path][1]].append(row)
    return {op: group(rows[op], times_s[op]) for op in times_s}


def sort_key(time_s: float) -> float:
    """Sorts the longest first; unresolved times come last and are equal."""
    return -time_s if time_s >= MIN_RESOLVED_S else 0.0


def share_of_macs(part: Group, whole: Group) -> str:
    return percent(part.macs / whole.macs) if whole.macs and part.macs else MISSING


def time_text(time_s: float | None) -> str:
    if time_s is None:
        return MISSING
    return seconds(time_s) if time_s >= MIN_RESOLVED_S else f"< {1e6 * MIN_RESOLVED_S:.0f} µs"


def _half_width(measurement: Measurement) -> HalfWidth:
    from analyzer.timing.statistics import interval_half_width  # Imports numpy, which the page does without.

    return interval_half_width(measurement)


def _noisy(
    measurement: Measurement, groups: Mapping[Key, tuple[Cell, Group]], half_width: HalfWidth
) -> tuple[str, ...]:
    """Names the rows of a trusted pass whose own interval is too wide."""
    if measurement.operator_quality[0] != "trusted":
        return ()
    noisy: list[tuple[float, str]] = []
    for key, (name, part) in groups.items():
        width = half_width(part.timings) if part.seconds >= MIN_RESOLVED_S else None
        if width is not None and width > TRUSTED_HALF_WIDTH * part.seconds:
            texts = {"module": key[-1], "own": f"{key[-1]} {OWN_FORWARD}"}
            noisy.append((width / part.seconds, texts.get(key[0], name.text)))
    if not noisy:
        return ()
    widest = sorted(noisy, reverse=True)[:MAX_NOISY]
    names = ", ".join(f"{text} (± {_half_width_text(share)})" for share, text in widest)
    more = f" and {len(noisy) - MAX_NOISY} more" if len(noisy) > MAX_NOISY else ""
    return (f"Noisy, may differ in another run: {names}{more}.",)


def _columns(first: str, record: Record, ceilings: Ceilings | None) -> tuple[Column, ...]:
    macs = "MACs" if record.mode == "inference" else "fwd MACs"
    share = Column("share", "right" if ceilings else "left")  # With a roofline, 80 columns have no room for bars.
    columns = (Column(first, "left", "start"), *map(Column, (macs, "share", "time", "±")), share)
    if ceilings is None:
        return (*columns, Column("GFLOP/s"))
    if ceilings.published:  # The achieved FLOP/s are those of this machine, not of the device.
        return (*columns, Column("direct"), Column("at least", "left"))
    return (*columns, Column("GFLOP/s"), Column("FLOP/B"), Column("of roofline", "left"))


def _cells(
    record: Record, whole: Group, ceilings: Ceilings | None, half_width: HalfWidth
) -> Callable[[Group], TableRow]:
    """A function to a group's cells: MACs and their share, time with its interval and share, FLOP/s, roofline."""

    def cells(part: Group) -> TableRow:
        resolved = part.seconds >= MIN_RESOLVED_S
        share = part.seconds / whole.seconds if resolved and whole.seconds else None
        width = half_width(part.timings) if resolved else None
        row: TableRow = (
            scaled(part.macs) if part.macs else MISSING,
            share_of_macs(part, whole),
            time_text(part.seconds),
            MISSING if width is None else _half_width_text(width / part.seconds),
            MISSING if share is None else Cell(percent(share), share, None if ceilings else share),
        )
        if ceilings and ceilings.published:
            return (*row, *_bound_cells(part, ceilings, resolved))
        rated = resolved and part.flops and not measurement_of(record).rate_reason
        row = (*row, plain(part.flops / part.seconds / 1e9) if rated else MISSING)
        return (*row, *_roofline_cells(part, ceilings, bool(rated))) if ceilings else row

    return cells


def _bound_cells(part: Group, ceilings: Ceilings, resolved: bool) -> tuple[str, str]:
    """The time of the direct algorithm, and the least time of any with the limit that applies."""
    result = bounds(part.works, ceilings)
    if not resolved or not result.bound_by:
        return MISSING, MISSING
    return seconds(result.direct_s), f"{seconds(result.at_least_s)} {result.bound_by}"


def _roofline_cells(part: Group, ceilings: Ceilings, resolved: bool) -> tuple[str, str]:
    """FLOPs per byte, and the share of the attainable performance with the limit that applies."""
    works = [work.direct for work in part.works]
    traffic = sum(read + written for _, read, written in works)
    ratio = intensity(part.flops / traffic) if traffic and part.flops else MISSING
    point = roofline_point(works, part.seconds, ceilings) if resolved else None
    return ratio, MISSING if point is None else f"{percent(point.share_of_bound)} {point.bound_by}"


def _roofline_note(ceilings: Ceilings | None) -> tuple[str, ...]:
    if ceilings is None:
        return ()
    peak = f"peak {rate(ceilings.flops_per_s, 'FLOP')} in {ceilings.peak_type}"
    if ceilings.published:
        return (
            f"At least: minimum time by published specifications of {ceilings.source} ({peak}), with the data in "
            "memory and the fewest multiplications of known algorithms (Winograd, FFT), and the limit that applies. "
            "Direct: the same for the direct algorithm; a faster one may take less. Neither is a forecast.",
        )
    return (
        "FLOP/B: FLOPs per byte of memory traffic. Of roofline: share of the performance that the measured peaks "
        f"allow ({peak}), and the limit that applies. Peaks are measured with matrix products and copies, and FLOPs "
        "are those of the direct algorithm; a better kernel or algorithm may exceed 100 %.",
    )


def _half_width_text(share: float) -> str:
    """Whole percent: 80 columns have no room for more."""
    return "<1 %" if share < 0.01 else f"{100 * share:.0f} %" if share < 1 else ">99 %"
