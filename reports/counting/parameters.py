"""Parameters and buffers of a model as a table by module."""

from __future__ import annotations

from analyzer.core.units import percent
from analyzer.records.parameters import ModuleParameters, Parameters, add_parameters
from analyzer.records.rows import prefixes
from reports import cells
from reports.counting.groups import TOP_LEVEL, tree_name
from reports.table import Cell, Row, Table, columns

OWN = "(own parameters)"
NOTE = "Shared tensors are counted once, in the first module that has them. B are bytes at the tensors' own types."


def table(parameters: Parameters, depth: int = 1) -> Table:
    """One row per module down to `depth` that has tensors, with those of its children; the total last."""
    members: dict[str, list[ModuleParameters]] = {}
    for module in parameters.modules:
        for path in prefixes(module.path):
            members.setdefault(path, []).append(module)
    kinds = {module.path: module.type for module in parameters.modules}
    total = parameters.total
    rows: list[Row] = []

    def add(name: Cell, module: ModuleParameters) -> None:
        if module.params or module.buffers:
            rows.append((name, module.type, *_numbers(module, total)))

    for path, modules in members.items():
        name = tree_name(path, "", depth)
        if name is None:
            continue
        add(name, add_parameters(path, kinds.get(path, ""), modules))
        if len(modules) > 1 and tree_name(f"{path}.child", "", depth) is not None and modules[0].path == path:
            add(Cell(OWN, depth=name.depth + 1), modules[0].replace(type=""))
    for module in parameters.modules:
        if not module.path:
            add(Cell(TOP_LEVEL), module.replace(type=""))
    titles = ("module", "type", "params", "share", "trainable", "frozen", "bytes", "buffers", "buffer bytes")
    trained = f", {percent(total.trainable / total.params)} trainable" if total.params else ""
    return Table(
        f"{parameters.model}: {total.params:,} parameters{trained}, {total.parameter_bytes:,} bytes",
        columns(*titles, left=("type", "share")),
        (*rows, (Cell("total"), "", *_numbers(total, total))),
        total=True,
        notes=(NOTE,),
    )


def _numbers(module: ModuleParameters, total: ModuleParameters) -> Row:
    return (
        cells.count("params", module.params),
        cells.share(module.params, total.params),
        cells.count("params", module.trainable),
        cells.count("params", module.frozen),
        cells.count("traffic", module.parameter_bytes),
        cells.count("params", module.buffers),
        cells.count("traffic", module.buffer_bytes),
    )
