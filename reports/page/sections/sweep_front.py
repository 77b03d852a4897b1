"""The section of Pareto fronts: time or MACs against parameters or a user's accuracy."""

from __future__ import annotations

from analyzer.core.units import METRICS, counted, seconds
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.pareto import Candidate, Front
from reports.page.context import Block, Chart, Choice, Section
from reports.page.figures import sweeps as figures
from reports.sweeps.names_and_phrases import Names, time_interval
from reports.sweeps.tables import front_table, front_title

LEAD = (
    "A model is on the front if no other model is better in one quantity and as good in the other. By time, a model is "
    "dominated only if the intervals of the two times do not overlap."
)


def section(analysis: Analysis, names: Names) -> Section:
    charts = [
        (front_title(front, names), (_chart(front, index, names),)) for index, front in enumerate(analysis.fronts)
    ]
    blocks: tuple[Block, ...] = (Choice("Front", tuple(charts)),) if charts else ()
    return Section("sweep-front", "Pareto front", "Pareto front", LEAD, blocks)


def _chart(front: Front, index: int, names: Names) -> Chart:
    title = front_title(front, names)
    timed, sized = front.cost == "time", front.against == "params"
    on_front = [_spot(front, item) for item in front.front]
    dominated = [_spot(front, item) for item in front.candidates if not item.on_front]
    drawn = figures.thinned(dominated)
    shown = ", ".join(item.point.name for item in front.front[:4])
    more = f" and {len(front.front) - 4} more" if len(front.front) > 4 else ""
    summary = f"{counted(len(front.front), 'model')} of {len(front.candidates):,} on the front: {shown}{more}."
    if len(drawn) < len(dominated):
        summary += f" {len(drawn):,} of {len(dominated):,} dominated points are drawn; others would be covered."
    return Chart(
        id=f"sweep-front-{index}",
        title=title[0].upper() + title[1:],
        summary=summary,
        figure=figures.front(
            on_front,
            dominated,
            x="time of a pass" if timed else "multiply-adds",
            unit="s" if timed else "",
            y="parameters" if sized else front.against,
            log_y=sized,
        ),
        table=front_table(front, names).replace(tools=("sort", "filter", "csv")),
        marks=len(on_front) + len(drawn),
    )


def _spot(front: Front, item: Candidate) -> figures.Spot:
    cost = seconds(item.cost) if front.cost == "time" else f"{METRICS['macs'].text(item.cost)} MACs"
    between = f" [{time_interval(item.low, item.high)}]" if front.cost == "time" else ""
    value = f"{METRICS['params'].text(item.value)} params" if front.against == "params" else f"{item.value:g}"
    return item.cost, item.value, (item.low, item.high), item.point.name, f"{item.point.name}: {cost}{between}, {value}"
