"""Roofline chart of one timed pass (Williams et al. 2009): operators below the peaks measured on their machine."""

from __future__ import annotations

from collections import defaultdict

from analyzer.core.units import intensity, percent, rate, scaled
from analyzer.records.record import Record
from analyzer.timing.machine.roofline import Ceilings, measured_ceilings
from reports import cells
from reports.page.context import ALL_TOOLS, Block
from reports.page.figures import base as figures
from reports.page.figures import scatter
from reports.page.network_views import NetworkView
from reports.page.sections.pass_breakdown import chart
from reports.table import Cell, Row, Table, columns
from reports.timing.breakdown import measurement_of

NO_ROOFLINE = (
    "No roofline: the record has no measured peaks. Run `analyze machine` once, then `analyze time` records them."
)
HOVER = "%{x:.3s} FLOP/B, %{y:.4s}FLOP/s"


def charts(network: NetworkView, record: Record) -> list[Block]:
    """One chart; none in training, where the memory traffic of the backward pass is not counted."""
    if record.mode != "inference":
        return []
    measurement = measurement_of(record)
    counted = record.rows_by_key()
    groups: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    rows: list[Row] = []
    for timing, time_s in measurement.operator_times_s.items():
        row = counted.get(timing.key)
        traffic = row.bytes_read + row.bytes_written if row else 0
        if row is None or not time_s or not row.flops or not traffic:
            continue
        flops_per_byte, flops_per_s = row.flops / traffic, row.flops / time_s
        values = Cell(intensity(flops_per_byte), flops_per_byte), Cell(scaled(flops_per_s), flops_per_s)
        rows.append((timing.path, timing.op, *values, cells.duration(time_s)))
        if timing.resolved:
            point = float(f"{flops_per_byte:.4g}"), float(f"{flops_per_s:.4g}"), figures.escape_label(timing.path)
            groups[timing.op].append(point)
    if not groups:
        return []
    ceilings = record_ceilings(record)
    intensities = [x for values in groups.values() for x, _, _ in values]
    flops_per_s, op = max((y, op) for op, values in groups.items() for _, y, _ in values)
    reached = (
        f", {percent(flops_per_s / ceilings.flops_per_s)} of the measured peak." if ceilings else f". {NO_ROOFLINE}"
    )
    figure = scatter.points(
        {op: scatter.transpose(values) for op, values in groups.items()},
        x="FLOPs per byte of memory traffic", y="FLOP/s", hover=HOVER,
        lines=_lines(ceilings, min(intensities) / 2, max(intensities) * 2) if ceilings else [],
    )  # fmt: skip
    titles = columns("path", "op", "FLOP/B", "FLOP/s", "time", left=("op",))
    return [
        chart(
            network, measurement, "roofline", "roofline",
            f"The fastest operator, a {op}, reaches {rate(flops_per_s, 'FLOP')}{reached}", figure,
            Table("Roofline by operator", titles, tuple(rows), tools=ALL_TOOLS), len(intensities),
        )
    ]  # fmt: skip


def record_ceilings(record: Record) -> Ceilings | None:
    """The ceilings from the peaks in the record's environment, or None."""
    peaks = record.environment.get("peaks")
    if not peaks or record.measurement is None:
        return None
    try:
        ceilings = measured_ceilings(peaks, record.environment, record.measurement.configuration)
        rates = [ceilings.flops_per_s, *(level.bytes_per_s for level in ceilings.levels)] if ceilings else []
        return ceilings if all(1 < rate < 1e24 for rate in rates) else None
    except (KeyError, TypeError, AttributeError):
        return None  # Peaks that another program wrote.


def _lines(ceilings: Ceilings, low: float, high: float) -> list[dict[str, object]]:
    """A slope per memory level, and the flat roof from the fastest level's ridge on."""
    lines = []
    ridges = [ceilings.flops_per_s / level.bytes_per_s for level in ceilings.levels]
    for level, ridge in zip(ceilings.levels, ridges, strict=True):
        xs = [low, min(max(ridge, low), high)]
        name = f"{level.name} {rate(level.bytes_per_s, 'B')}"
        lines.append(scatter.ceiling(name, xs, [x * level.bytes_per_s for x in xs]))
    roof = [min(max(min(ridges), low), high), high]
    name = f"peak {rate(ceilings.flops_per_s, 'FLOP')} in {ceilings.peak_type}"
    return [*lines, scatter.ceiling(name, roof, [ceilings.flops_per_s] * 2)]
