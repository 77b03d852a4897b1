"""The section of machines: the same configurations on two machines, with the interval of each ratio."""

from __future__ import annotations

from analyzer.core.units import counted
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.machines import MachinePair
from reports.page.context import ALL_TOOLS, Block, Chart, Choice, Section
from reports.page.figures import sweeps as figures
from reports.sweeps.names_and_phrases import Names
from reports.sweeps.tables import comparison_cell, machines_table
from reports.table import cell_text

MAX_POINTS = 30
LEAD = (
    "The same configurations on both machines. A ratio whose 95 % interval includes 1 is undecided; void times are "
    "left out."
)


def section(analysis: Analysis, names: Names) -> Section:
    pairs = [
        (machines_table(pair, names).title, (_chart(pair, index, names),)) for index, pair in enumerate(analysis.pairs)
    ]
    blocks: tuple[Block, ...] = (Choice("Machines", tuple(pairs)),) if pairs else ()
    return Section("sweep-machines", "Machine against machine", "Machines", LEAD, blocks)


def _chart(pair: MachinePair, index: int, names: Names) -> Chart:
    table = machines_table(pair, names)
    second = names.machines[pair.second]
    outcomes, total = pair.outcomes, len(pair.comparisons)
    counts = [f"{outcomes[word]} {word}" for word in ("faster", "slower", "undecided") if outcomes[word]]
    summary = f"{second} in {counted(total, 'configuration')}: {', '.join(counts)}."
    # Evenly over the ratios, which are sorted.
    shown = [pair.comparisons[position * total // MAX_POINTS] for position in range(MAX_POINTS)]
    shown = shown if total > MAX_POINTS else list(pair.comparisons)
    rows = []
    for item in shown:
        name = f"{item.first.name}, {item.second.configuration.label}"
        rows.append(
            (name, item.ratio, (item.low, item.high), item.outcome, f"{name}: {cell_text(comparison_cell(item))}")
        )
    hidden = f" The chart shows {MAX_POINTS} of them, evenly by ratio; the table all." if total > MAX_POINTS else ""
    return Chart(
        id=f"sweep-machines-{index}",
        title=table.title,
        summary=summary + hidden,
        figure=figures.ratios(rows, unit="time, 2nd ÷ 1st"),
        table=table.replace(tools=ALL_TOOLS),
        marks=len(rows),
    )
