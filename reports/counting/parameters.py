"""Parameters and buffers of a model as a table by module."""

from __future__ import annotations

from analyzer.core.units import percent
from analyzer.records.parameters import ModuleParameters, Parameters, add_parameters
from analyzer.records.rows import prefixes
from reports import cells
from reports.counting.groups import MAX_ROWS, NEARLY_ALL, TOP_LEVEL
from reports.counting.tree import Repeats, find_repeats, tree, tree_name
from reports.counting.type_names import LISTS, repeated
from reports.table import Cell, Row, Table, columns

OWN = "(own parameters)"
NOTE = (
    "Shared tensors are counted once, in the first module that has them. Bytes are computed from each tensor's dtype."
)
DROPPED = ("buffer bytes", "buffers")  # On a narrow terminal.


def table(parameters: Parameters, depth: int = 1, *, fold: bool = True) -> Table:
    """One row per module down to `depth` that has tensors, with those of its children; the total last.

    `fold` shows equal modules in one row, with their sum.
    """
    members = _members(parameters)
    own = {module.path for module in parameters.rows}
    total = parameters.total
    rows: list[Row] = []

    def add(name: Cell, module: ModuleParameters, times: int = 1, kind: str = "") -> None:
        if module.params or module.buffers:
            rows.append((name, kind, *_numbers(module, total, times)))

    for path, name, times, is_open in tree(members, "", depth, _repeats(members) if fold else Repeats(), own):
        modules = members[path]
        add(name, add_parameters(path, "", modules), times, repeated(times, _kind(path, modules)))
        if is_open and path in own:
            add(Cell(OWN, depth=name.depth + 1), modules[0], times)
    for module in parameters.modules:
        if not module.path:
            add(Cell(TOP_LEVEL), module)
    titles = ("module", "type", "params", "share", "bytes", "trainable", "frozen", "buffers", "buffer bytes")
    trained = f", {percent(total.trainable / total.params)} trainable" if total.params else ""
    return Table(
        f"{parameters.model}: {total.params:,} parameters{trained}, {total.parameter_bytes:,} bytes",
        columns(*titles, left=("type", "share"), drop=DROPPED, shrink=("type",)),
        (*rows, (Cell("total"), "", *_numbers(total, total))),
        total=True,
        notes=(NOTE,),
    )


def default_depth(parameters: Parameters, *, fold: bool = True) -> int:
    """The first depth at which no module that could be divided has nearly all parameters."""
    members = _members(parameters)
    repeats = _repeats(members) if fold else Repeats()
    depth = 1
    while True:
        nodes = tree(members, "", depth, repeats, ())
        undivided = [
            node
            for node in nodes
            if not node.is_open
            and any(module.path != node.path for module in members[node.path])
            and node.times * add_parameters("", "", members[node.path]).params > NEARLY_ALL * parameters.params
        ]
        if not undivided or len(tree(members, "", depth + 1, repeats, ())) > MAX_ROWS:
            return depth
        depth += 1


def _members(parameters: Parameters) -> dict[str, list[ModuleParameters]]:
    """Each module with all modules below it, by path."""
    members: dict[str, list[ModuleParameters]] = {}
    for module in parameters.modules:
        for path in prefixes(module.path):
            members.setdefault(path, []).append(module)
    return members


def _repeats(members: dict[str, list[ModuleParameters]]) -> Repeats:
    return find_repeats(
        members, lambda path: tuple(module.replace(path=module.path[len(path) :]) for module in members[path])
    )


def _kind(path: str, modules: list[ModuleParameters]) -> str:
    """The class of a module; of a list of equal classes `3 Bottleneck`."""
    kind = modules[0].type if modules[0].path == path else ""
    inside = {module.type for module in modules if tree_name(module.path, path, 1) is not None and module.path != path}
    count = sum(tree_name(module.path, path, 1) is not None for module in modules) - 1
    return f"{count} {inside.pop()}" if kind in LISTS and len(inside) == 1 and count > 1 else kind


def _numbers(module: ModuleParameters, total: ModuleParameters, times: int = 1) -> Row:
    return (
        cells.count("params", times * module.params),
        cells.share(times * module.params, total.params),
        cells.count("traffic", times * module.parameter_bytes),
        cells.count("params", times * module.trainable),
        cells.count("params", times * module.frozen),
        cells.count("params", times * module.buffers),
        cells.count("traffic", times * module.buffer_bytes),
    )
