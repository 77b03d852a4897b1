"""The section of best configurations: conclusions in sentences, the gains as a chart, and the evidence as a table."""

from __future__ import annotations

from analyzer.core.units import counted, times
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.best_configuration import Best
from reports.page.context import ALL_TOOLS, Block, Chart, Section
from reports.page.figures import sweeps as figures
from reports.sweeps.names_and_phrases import TUNED, Names, changes, factor_interval
from reports.sweeps.tables import best_table
from reports.table import Cell, Row, Table, columns

MAX_BARS = 24
MAX_PRINTED = 60
LEAD = (
    "For each model, batch and machine: the configuration with the largest significant gain over the default. Void "
    "times are left out. A gain whose interval includes 1 is undecided."
)


def section(analysis: Analysis, names: Names) -> Section:
    blocks: tuple[Block, ...] = ()
    if analysis.best:
        table = best_table(analysis.best, names)
        # A table with a filter is not printed.
        table = table.replace(tools=ALL_TOOLS if len(table.rows) > MAX_PRINTED else ("sort", "csv"))
        known = [best for best in analysis.best if best.speed is not None]
        shown = sorted(known, key=lambda best: -(best.low or 0.0))[:MAX_BARS]
        blocks = (table.replace(id="sweep-best-table"), *([_chart(shown, known, names)] if len(shown) > 1 else []))
    return Section("sweep-best", "Best configurations", "Best configurations", LEAD, blocks)


def _chart(shown: list[Best], known: list[Best], names: Names) -> Chart:
    rows = []
    table: list[Row] = []
    for best in shown:
        assert best.speed is not None
        assert best.low is not None
        assert best.high is not None
        batch = best.fastest.configuration.words[0]
        name = f"{names.workload(best.fastest, without=TUNED - {'batch', 'machine'})}"
        text = f"{name}, {changes(best)}: {times(best.speed)} [{factor_interval(best.low, best.high)}], {batch}"
        outcome = "faster" if best.certain else "undecided"
        table.append((name, Cell(times(best.speed), best.speed), factor_interval(best.low, best.high)))
        rows.append((name, best.speed, (best.low, best.high), outcome, text))
    certain = sum(best.certain for best in known)
    summary = f"In {certain} of {counted(len(known), 'case')} a configuration is significantly faster than the default."
    hidden = f" The chart shows the {MAX_BARS} largest." if len(known) > MAX_BARS else ""
    return Chart(
        id="sweep-best",
        title="Speed of the best configuration, relative to the default",
        summary=summary + hidden,
        figure=figures.ratios(rows, unit="times as fast"),
        table=Table("Speed relative to the default", columns("case", "speed", "95 % interval"), tuple(table)),
        marks=len(rows),
    )
