"""The section Full table: every module and operator to the last unit, with link targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS
from analyzer.records.rows import Module, Row, Totals, prefixes, total
from analyzer.scaling.derivation import derive, number
from reports import cells
from reports.counting.count_tables import passes_of_step
from reports.counting.groups import TOP_LEVEL
from reports.explain import derivation_text
from reports.page.context import ALL_TOOLS, Block, Choice, Panel, Section
from reports.page.network_views import NetworkView
from reports.table import MISSING, Cell, Table, columns
from reports.table import Row as TableRow

COUNTS = ("params", "macs", "flops", "activations", "bytes_read", "bytes_written")
FIRST_COUNT = 3  # The column of the first of COUNTS, after path, op and output.
MAX_DERIVED = 600  # Lines of a network whose numbers are derived on the page; it has a limit of size.
RESERVED = {
    "derivation-tip",
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


class Line(Frozen):
    """A line of the table: a module or, with `row`, one operator; `below` is how many operators it sums up."""

    name: Cell
    op: str
    shapes: str
    totals: Totals
    time_s: float | None = None
    row: Row | None = None
    below: int = 0


def section(networks: Sequence[NetworkView], anchors: Mapping[tuple[int, str], str]) -> Section:
    options: list[tuple[str, tuple[Table, ...]]] = []
    derivations: dict[str, list[list[str]]] = {}
    for network in networks:
        if not network.empty:
            lines = list(_lines(network, anchors))
            options.append((network.name, (table(network, lines),)))
            if len(lines) <= MAX_DERIVED:
                derivations[f"rows-{network.index}"] = [_derived(line, _metrics(network)) for line in lines]
    lead = (
        "Every module and every operator, exact. To link to a row, append #path to this page's address. CSV contains "
        "the rows that are shown."
    )
    blocks: list[Block] = [Choice("Network", tuple(options))] if options else []
    if derivations:
        blocks.insert(0, Panel("derivations", "Derivations", {"first": FIRST_COUNT, "tables": derivations}))
    return Section("table", "Full table", "Full table", lead if options else "There are no rows.", tuple(blocks))


def _metrics(network: NetworkView) -> tuple[str, ...]:
    """The columns with numbers that can be derived; "" stands for the intensity."""
    added = passes_of_step([network.totals])
    return (*COUNTS, "", *added, *(["step_flops"] if added else []))


def _derived(line: Line, metrics: Sequence[str]) -> list[str]:
    """How each number of a line comes about, in the order of the columns."""
    if line.row is None:
        return [f"sum of {line.below} operators" if metric and line.totals.value(metric) else "" for metric in metrics]
    row = line.row
    return [derivation_text(derive(row, metric)) if metric and number(row, metric) else "" for metric in metrics]


def _lines(network: NetworkView, anchors: Mapping[tuple[int, str], str]) -> Iterator[Line]:
    times_s = network.module_times_s
    by_path: dict[str, list[Row]] = {}
    for row in network.record.rows:
        by_path.setdefault(row.path, []).append(row)
    parents = {module.path.rpartition(".")[0] for module in network.modules}
    below = Counter(path for row in network.record.rows for path in prefixes(row.path))
    for row in by_path.pop("", []):
        yield Line(Cell(TOP_LEVEL), row.op, _shapes(row), total([row]), row=row)
    for module in network.modules:
        rows, time_s = by_path.get(module.path, []), times_s.get(module.path)
        depth = module.path.count(".")
        name = Cell(module.path, depth=depth, anchor=anchors[network.index, module.path])
        if module.path not in parents and len(rows) == 1:
            yield Line(name, rows[0].op, _shapes(rows[0]), module.totals, time_s, rows[0])
            continue
        number_below = below[module.path]
        yield Line(name.replace(tone="module"), "module", _shapes(module), module.totals, time_s, below=number_below)
        for row in rows:
            op = f"{row.op} (call {row.call})" if row.call > 1 else row.op
            yield Line(Cell(module.path, depth=depth + 1), op, _shapes(row), total([row]), row=row)
    every = len(network.record.rows)
    yield Line(Cell("total"), "", "", network.totals, times_s.get(""), below=every)


def table(network: NetworkView, lines: Sequence[Line]) -> Table:
    timed = bool(network.module_times_s)
    metrics = _metrics(network)
    rows: list[TableRow] = [
        (
            line.name,
            line.op,
            line.shapes,
            *(cells.exact(line.totals.value(metric)) if metric else cells.intensity(line.totals) for metric in metrics),
            *([cells.duration(line.time_s)] if timed else []),
        )
        for line in lines
    ]
    titles = ["path", "op", "output", *(METRICS[metric].title if metric else "FLOP/B" for metric in metrics)]
    titles += ["time"] if timed else []
    return Table(
        f"{network.name} by operator",
        columns(*titles, left=("op",)),
        tuple(rows),
        total=True,
        id=f"rows-{network.index}",
        tools=ALL_TOOLS,
    )


def _shapes(item: Row | Module) -> str:
    return " ".join(shape_text(shape[1:]) for shape in item.outputs) or MISSING
