"""Tables of times that are not part of a pass's sum: kernels by torch.profiler, and modules replayed alone."""

from __future__ import annotations

from collections import defaultdict

from analyzer.core.units import seconds
from analyzer.records.record import Record
from reports import cells
from reports.counting.groups import TOP_LEVEL
from reports.table import Cell, Table, columns
from reports.table import Row as TableRow
from reports.timing.breakdown import measurement_of, sort_key, time_text

MAX_ROWS = 15


def kernels(record: Record, depth: int) -> list[Table]:
    """The longest kernels, each with the module at `depth` that ran it."""
    measurement = measurement_of(record)
    times_s: dict[tuple[str, str], list[float]] = defaultdict(list)
    for timing in measurement.of("kernel"):
        times_s[timing.op, ".".join(timing.path.split(".")[:depth]) or TOP_LEVEL].append(timing.median_s)
    if not times_s:
        return []
    total = sum(map(sum, times_s.values()))
    longest = sorted(times_s.items(), key=lambda item: -sum(item[1]))[:MAX_ROWS]
    rows: list[TableRow] = [
        (Cell(kernel), path, str(len(times)), seconds(sum(times)), cells.share(sum(times), total))
        for (kernel, path), times in longest
    ]
    note = (
        "By torch.profiler, including its own cost: time per pass, without kernels called inside. Call sites: modules "
        f"that ran the kernel. {len(rows)} of {len(times_s)} shown."
    )
    headings = columns("kernel", "module", "call sites", "time", "share", left=("module", "share"))
    title = f"{record.label}: kernels, {measurement.operator_quality[0]}"
    return [Table(title, headings, tuple(rows), notes=(note,))]


def replays(record: Record) -> list[Table]:
    """Modules timed alone, with warm and with flushed caches, next to their time in the pass."""
    measurement = measurement_of(record)
    warm = {timing.key: timing.median_s for timing in measurement.of("replay")}
    flushed = {timing.key: timing.median_s for timing in measurement.of("replay_cold")}
    if not warm:
        return []
    times_s = measurement.operator_times_s.items()
    in_pass = {timing.key: time_s for timing, time_s in times_s if timing.phase == "forward"}
    longest = sorted(warm, key=lambda key: sort_key(warm[key]))[:MAX_ROWS]
    rows: list[TableRow] = [
        (Cell(key[0]), *(time_text(column.get(key)) for column in (in_pass, warm, flushed))) for key in longest
    ]
    note = (
        "Each module alone with its recorded inputs, caches warm or flushed. In the pass it may take longer or "
        f"shorter. {len(longest)} of {len(warm)} shown."
    )
    headings = columns("module alone", "in the pass", "warm", "flushed")
    title = f"{record.label}: replay, {measurement.operator_quality[0]}"
    return [Table(title, headings, tuple(rows), notes=(note,))]
