"""The section Full table: every module and operator to the last unit, with link targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS
from analyzer.records.rows import Module, Row, Totals, total
from reports import cells
from reports.counting.groups import TOP_LEVEL
from reports.counting.network import passes_of_step
from reports.page.context import ALL_TOOLS, Choice, Section
from reports.page.network_views import NetworkView
from reports.table import MISSING, Cell, Table, columns
from reports.table import Row as TableRow

COUNTS = ("params", "macs", "flops", "activations", "bytes_read", "bytes_written")
RESERVED = {
    "content",
    "table",
    "figures",
    "plotly",
    "plotly-link",
    "dagre",
    "diagram-panel",
    "diagram-panel-data",
    "graph-arrow",
}


def anchors(networks: Sequence[NetworkView], used: set[str]) -> dict[tuple[int, str], str]:
    """A link target for every module: its path or, where an earlier network has that already, `network/path`."""
    targets: dict[tuple[int, str], str] = {}
    taken = RESERVED | used
    for network in networks:
        for module in network.modules:
            path, name = "_".join(module.path.split()), "_".join(network.name.split())
            candidates = [path, f"{name}/{path}", *(f"{name}/{path}/{number}" for number in range(2, 100))]
            anchor = next((text for text in candidates if text and text not in taken), "")
            taken.add(anchor)
            targets[network.index, module.path] = anchor
    return targets


def section(networks: Sequence[NetworkView], anchors: Mapping[tuple[int, str], str]) -> Section:
    options = tuple((network.name, (table(network, anchors),)) for network in networks if not network.empty)
    lead = (
        "Every module and every operator, exact. To link to a row, append #path to this page's address. CSV contains "
        "the rows that are shown."
    )
    return Section(
        "table",
        "Full table",
        "Full table",
        lead if options else "There are no rows.",
        (Choice("Network", options),) if options else (),
    )


def table(network: NetworkView, anchors: Mapping[tuple[int, str], str]) -> Table:
    times_s = network.module_times_s
    added = passes_of_step([network.totals])
    added += ["step_flops"] if added else []

    def line(name: Cell, op: str, shapes: str, totals: Totals, time_s: float | None = None) -> TableRow:
        return (
            name,
            op,
            shapes,
            *(cells.exact(getattr(totals, metric)) for metric in COUNTS),
            cells.intensity(totals),
            *(cells.exact(totals.value(metric)) for metric in added),
            *([cells.duration(time_s)] if times_s else []),
        )

    by_path: dict[str, list[Row]] = {}
    for row in network.record.rows:
        by_path.setdefault(row.path, []).append(row)
    parents = {module.path.rpartition(".")[0] for module in network.modules}
    lines = [line(Cell(TOP_LEVEL), row.op, _shapes(row), total([row])) for row in by_path.pop("", [])]
    for module in network.modules:
        rows, time_s = by_path.get(module.path, []), times_s.get(module.path)
        depth = module.path.count(".")
        name = Cell(module.path, depth=depth, anchor=anchors[network.index, module.path])
        if module.path not in parents and len(rows) == 1:
            lines.append(line(name, rows[0].op, _shapes(rows[0]), module.totals, time_s))
            continue
        lines.append(line(name.replace(tone="module"), "module", _shapes(module), module.totals, time_s))
        for row in rows:
            op = f"{row.op} (call {row.call})" if row.call > 1 else row.op
            lines.append(line(Cell(module.path, depth=depth + 1), op, _shapes(row), total([row])))
    lines.append(line(Cell("total"), "", "", network.totals, times_s.get("")))
    titles = ["path", "op", "output", *(METRICS[metric].title for metric in COUNTS), "FLOP/B"]
    titles += [METRICS[metric].title for metric in added]
    titles += ["time"] if times_s else []
    return Table(
        f"{network.name} by operator",
        columns(*titles, left=("op",)),
        tuple(lines),
        total=True,
        id=f"rows-{network.index}",
        tools=ALL_TOOLS,
    )


def _shapes(item: Row | Module) -> str:
    return " ".join(shape_text(shape[1:]) for shape in item.outputs) or MISSING
