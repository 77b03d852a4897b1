"""The roofline of one timed pass: where each operator stands under what its machine was measured to reach."""

from __future__ import annotations

from analyzer.core.units import intensity, rate, scaled
from analyzer.records.record import Record
from analyzer.timing.machine.roofline import Ceilings, measured_ceilings
from reports import cells
from reports.page.context import ALL_TOOLS, Block, Chart
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.network_views import NetworkView
from reports.table import Cell, Row, Table, columns
from reports.timing.breakdown import measurement_of

NO_CEILINGS = (
    "No ceilings: the record carries no measured peaks of its machine. analyze machine measures them, and runs of "
    "analyze time after it carry them."
)

HOVER = "%{x:.3s} FLOP/B, %{y:.4s}FLOP/s"


def charts(one: NetworkView, record: Record) -> list[Block]:
    """Nothing in training: the bytes of a backward pass are not counted."""
    if record.mode != "inference":
        return []
    cell = measurement_of(record)
    named = {(row.path, row.op, row.call): row for row in record.rows}
    groups: dict[str, list[tuple[float, float, str]]] = {}
    rows: list[Row] = []
    for part, time in cell.operator_times_s.items():
        row = named.get((part.path, part.op, part.call))
        if row is None or not time:
            continue
        moved = row.bytes_read + row.bytes_written
        if not row.flops or not moved:
            continue
        place = row.flops / moved
        rows.append(
            (
                part.path,
                part.op,
                Cell(intensity(place), place),
                Cell(scaled(row.flops / time), row.flops / time),
                cells.duration(time),
            )
        )
        if part.resolved:
            achieved = float(f"{row.flops / time:.4g}")
            groups.setdefault(part.op, []).append((float(f"{place:.4g}"), achieved, figures.escape_label(part.path)))
    if not groups:
        return []
    spots = {
        op: ([x for x, _, _ in found], [y for _, y, _ in found], [text for _, _, text in found])
        for op, found in groups.items()
    }
    limits = ceilings(record)
    spread = [x for xs, _, _ in spots.values() for x in xs]
    low, high = min(spread) / 2, max(spread) * 2
    lines = _lines(limits, low, high) if limits else []
    id = f"roofline-{one.index}"
    best = max((y, op) for op, (_, ys, _) in spots.items() for y in ys if y is not None)
    summary = f"The fastest operator, a {best[1]}, reaches {rate(best[0], 'FLOP')}"
    summary += f", {100 * best[0] / limits.flops_per_s:.0f} % of the measured peak." if limits else f". {NO_CEILINGS}"
    drawn = points.scatter(
        spots, x="FLOPs per byte of least traffic", y="FLOP/s", hover=HOVER, whole_x=False, lines=lines
    )
    return [
        Chart(
            id=id,
            title=f"{one.name}: roofline",
            summary=f"{summary} At {cell.configuration.label}.",
            figure=drawn,
            table=Table(
                f"{one.name}: roofline, operator by operator",
                columns("path", "op", "FLOP/B", "FLOP/s", "time", left=("op",)),
                tuple(rows),
                tools=ALL_TOOLS,
            ),
            marks=len(spread),
            legend=figures.legend(drawn),
            quality=cell.operator_quality[0],
            reason=cell.operator_quality[1],
        )
    ]


def ceilings(record: Record) -> Ceilings | None:
    """What the record's own environment says its machine reaches, or None."""
    peaks = record.environment.get("peaks")
    if not peaks or record.measurement is None:
        return None
    try:
        return measured_ceilings(peaks, record.environment, record.measurement.configuration)
    except (KeyError, TypeError, AttributeError):
        return None  # Peaks that another program wrote.


def _lines(limits: Ceilings, low: float, high: float) -> list[dict[str, object]]:
    """The flat roof, and a slope for each place that data may come from."""
    found = []
    for level in limits.levels:
        ridge = limits.flops_per_s / level.bytes_per_s
        xs = [low, min(max(ridge, low), high)]
        found.append(
            points.ceiling(f"{level.name} {rate(level.bytes_per_s, 'B')}", xs, [x * level.bytes_per_s for x in xs])
        )
    start = min(limits.flops_per_s / level.bytes_per_s for level in limits.levels)
    roof = [min(max(start, low), high), high]
    return [*found, points.ceiling(f"peak {rate(limits.flops_per_s, 'FLOP')}", roof, [limits.flops_per_s] * 2)]
