"""The sections Summary, Failures, Results and About of a page of sweep results."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.sweeps.analysis.analysis import Analysis
from reports.page.context import ALL_TOOLS, Block, Code, Paragraphs, Section
from reports.sweeps.names_and_phrases import Names, conclusion, overview
from reports.sweeps.results import failures_table, results_table
from reports.table import Row, Table, columns

MAX_CONCLUSIONS = 3


def summary(analysis: Analysis, names: Names) -> Section:
    """What there is, and the largest significant gains."""
    certain = sorted((best for best in analysis.best if best.certain), key=lambda best: -(best.low or 0.0))
    texts = [overview(analysis), *(conclusion(best, names) for best in certain[:MAX_CONCLUSIONS])]
    blocks: list[Block] = [Paragraphs(tuple(texts), "lead")]
    if analysis.notes:
        blocks.append(Paragraphs(analysis.notes, "warning"))
    return Section("summary", "Summary", "Summary", "", tuple(blocks))


def failures(analysis: Analysis, names: Names) -> Section:
    table = failures_table(analysis, names).replace(id="sweep-failures-table", tools=("csv",))
    lead = "Configurations without a result, by reason; reasons that differ only in numbers are grouped."
    return Section("sweep-failures", "Failures", "Failures", lead, (table,) if analysis.failures else ())


def results(analysis: Analysis, names: Names, id: str = "sweep-results") -> Section:
    table = results_table(analysis, names).replace(id="sweep-results-table", tools=ALL_TOOLS)
    lead = "The newest result of each configuration on each machine. Void times are gray, and left out of conclusions."
    return Section(id, "All results", "Results", lead, (table,))


def about(analysis: Analysis, command: str) -> Section:
    blocks: list[Block] = [Code("Command that writes this page", command)]
    if analysis.machines:
        blocks.append(_machines(analysis))
    return Section("about", "Machines, how to reproduce", "About", "", tuple(blocks))


def _machines(analysis: Analysis) -> Table:
    rows: list[Row] = []
    for machine, name in analysis.machines.items():
        points = [point for point in analysis.points if point.machine == machine and point.time]
        hosts: Sequence[str] = sorted({point.host for point in points if point.host})
        key = "; ".join(machine[index] for index in (1, 6) if index < len(machine)) or "unknown"
        rows.append((name, str(len(points)), ", ".join(hosts[:6]) or "-", key))
    head = columns(
        "machine", "times", "hosts", "instructions or driver, torch", left=("hosts", "instructions or driver, torch")
    )
    return Table("Machines", head, tuple(rows), prose=True, id="machines")
