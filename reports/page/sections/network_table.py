"""The table of networks on the first screen: a bar per number, and the change relative to the first network."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import METRICS, relative_change, seconds
from reports import cells
from reports.page.network_views import NetworkView, compute_metric, metric_title
from reports.page.sections.compared_times import comparable_times, pass_times, time_interval
from reports.table import MISSING, Cell, Row, Table, columns


def network_table(networks: Sequence[NetworkView]) -> Table:
    """One row per network: a bar per number, and below it the change relative to the first network."""
    first = networks[0]
    metrics = [compute_metric(networks), "params", "activations"]
    numbers = [
        [*(network.totals.value(metric) for metric in metrics), network.peak, *_seconds(network)]
        for network in networks
    ]
    largest = [max((row[index] or 0 for row in numbers), default=0) for index in range(len(numbers[0]))]
    kept = [index for index, most in enumerate(largest) if most]
    rows: list[Row] = []
    for network, values in zip(networks, numbers, strict=True):
        counted = [*metrics, "peak_memory"]
        line: list[Cell | str] = []
        for index, (metric, value) in enumerate(zip(counted, values, strict=False)):
            base = numbers[0][index] if _is_compared(network, first) else None
            line.append(_count_cell(metric, value, largest[index], base))
        line += _time_cells(network, first, largest[len(counted) :])
        rows.append((Cell(network.name, note=_conditions(network, networks)), *(line[index] for index in kept)))
    titles = (*map(metric_title, metrics), "peak memory", "time", "GPU time")
    shown = [titles[index] for index in kept]
    note = f"Below each number: the change relative to {first.name}; " if len(networks) > 1 else ""
    notes = [f"{note}bars are relative to the largest number of the column."] if len(networks) > 1 else []
    if shared := _shared_conditions(networks):
        notes.append(f"All networks: {' · '.join(shared)}.")
    if any(network.measurement for network in networks):
        notes.append(
            "Times of a pass, with the 95 % confidence interval of a change. A change is undecided if the interval "
            "includes zero; void times are not compared."
        )
    return Table("Networks", columns("network", *shown, left=shown), tuple(rows), notes=tuple(notes), id="networks",
                 tools=("sort", "csv"))  # fmt: skip


def _condition_parts(network: NetworkView) -> tuple[str, str, str]:
    return network.input_text, network.record.mode, network.record.dtype


def _shared_conditions(networks: Sequence[NetworkView]) -> list[str]:
    """Input, mode and type as far as all of several networks share them."""
    parts = zip(*map(_condition_parts, networks), strict=True)
    return [values[0] for values in parts if len(set(values)) == 1 < len(values)]


def _conditions(network: NetworkView, networks: Sequence[NetworkView]) -> str:
    """Input, mode and type as far as they differ between networks, and why the network is not compared."""
    shared = _shared_conditions(networks)
    texts = [text for text in _condition_parts(network) if text not in shared]
    if network.incompatibility:
        texts.append(f"not compared with {networks[0].name}: {network.incompatibility}")
    return " · ".join(texts)


def _is_compared(network: NetworkView, first: NetworkView) -> bool:
    return network is not first and not network.incompatibility and not first.empty and not network.empty


def _count_cell(metric: str, value: float | None, largest: float, base: float | None) -> Cell | str:
    if value is None:
        return MISSING
    text, share = METRICS[metric].text(value), value / largest if largest else 0.0
    if base is None:
        return Cell(text, value, share=share, note=f"{value:,}")
    change = relative_change(base, value, fewer=cells.fewer(metric))
    return Cell(text, value, share=share, tone=cells.tone(base, value), note=change)


def _seconds(network: NetworkView) -> list[float | None]:
    timings = pass_times(network.measurement).values()
    return [timing.median_s if timing and timing.quality != "void" else None for timing in timings]


def _time_cells(network: NetworkView, first: NetworkView, largest: Sequence[float]) -> list[Cell | str]:
    pairs = comparable_times(first, network) if _is_compared(network, first) else {}
    line: list[Cell | str] = []
    for (noun, timing), most in zip(pass_times(network.measurement).items(), largest, strict=True):
        if timing is None:
            line.append(MISSING)
            continue
        text = seconds(timing.median_s)
        if timing.quality == "void":
            line.append(Cell(text, tone="void", note="void, not compared"))
            continue
        tone, note = "", str(timing.quality)
        if noun in pairs:
            before, after = pairs[noun]
            interval, decided = time_interval(before, after)
            change = relative_change(before.median_s, after.median_s, fewer="less") if decided else "undecided"
            tone = cells.tone(before.median_s, after.median_s) if decided else ""
            note = f"{change} ({interval}), {timing.quality}"
        line.append(Cell(text, timing.median_s, share=timing.median_s / most if most else 0.0, tone=tone, note=note))
    return line
