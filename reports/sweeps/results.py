"""The results of a sweep and its failures as tables."""

from __future__ import annotations

from analyzer.core.units import seconds
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.points import Point
from reports import cells
from reports.sweeps.names_and_phrases import MAX_ROWS, STEP_NOTE, Names, cut, time_interval
from reports.table import MISSING, Cell, Row, Table, columns


def failures_table(analysis: Analysis, names: Names, *, shown: int = 3) -> Table:
    rows: list[Row] = []
    for failure in analysis.failures:
        examples = [names.workload(point) for point in failure.points[:shown]]
        more = len(failure.points) - shown
        text = "; ".join(examples) + (f"; and {more:,} more" if more > 0 else "")
        rows.append((failure.reason, Cell(f"{len(failure.points):,}", len(failure.points)), text))
    head = columns("reason", "configurations", "which", left=("which",))
    return Table("Failures by reason", head, tuple(rows), prose=True)


def results_table(analysis: Analysis, names: Names) -> Table:
    """Every configuration, those that failed last."""
    points = sorted(analysis.points, key=lambda point: point.failed)
    gpu = any(point.time and point.time.gpu for point in points)
    timed, peaks = any(point.time for point in points), any(point.peak is not None for point in points)
    rows = [
        (
            Cell(point.name, tone="void" if point.failed else ""),
            *([names.configuration(point)] if names.varying else []),
            *([names.machine(point)] if names.several_machines else []),
            cells.count("params", point.params),
            cells.count("macs", point.macs),
            *([cells.count("peak_memory", point.peak)] if peaks else []),
            *(_times(point) if timed else []),
            *([_gpu_time(point)] if gpu else []),
        )
        for point in points[:MAX_ROWS]
    ]
    titles = [
        *(["configuration"] if names.varying else []),
        *(["machine"] if names.several_machines else []),
        "params",
        "MACs",
    ]
    titles += [*(["peak memory"] if peaks else []), *(["time", "95 % interval", "quality"] if timed else [])]
    titles += ["GPU time"] if gpu else []
    head = columns("model", *titles, left=("configuration", "machine", "quality"), shrink={"configuration", "machine"})
    notes = [STEP_NOTE] if any(point.step for point in points) else []
    return Table("Results", head, tuple(rows), notes=(*notes, *cut(len(points))))


def _gpu_time(point: Point) -> Cell | str:
    median = point.time.gpu if point.time else None
    if median is None:
        return MISSING
    low, high = median.interval()
    return Cell(seconds(median.value), median.value, note=f"{time_interval(max(low, 0.0), high)}")


def _times(point: Point) -> tuple[Cell | str, ...]:
    if point.time is None:
        return MISSING, MISSING, Cell("failed", tone="bad") if point.failed else MISSING
    if not point.usable:
        return Cell(seconds(point.time.shown_s), tone="void"), MISSING, cells.quality("void")
    low, high = point.median.interval()
    return cells.duration(point.median.value), time_interval(max(low, 0.0), high), cells.quality(point.time.quality)
