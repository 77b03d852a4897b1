"""Groups of rows that a table of counts shows: modules, operators, or operators of one width; sorted by a column.

Pure functions of a record. Groups without children are disjoint, and their totals add up to the record's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from math import inf
from typing import get_args

from analyzer.core.errors import AnalyzerError, nearest, quoted, require_positive_int
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.records.record import By, Record
from analyzer.records.rows import STEP_KEYS, TOTAL_KEYS, Module, Row, Totals, prefixes, total
from reports.counting.tree import Repeats, find_repeats, tree, tree_name
from reports.counting.type_names import module_type, operator_type, repeated
from reports.table import MISSING, Cell

TOP_LEVEL = "(top level)"
OWN_FORWARD = "(own forward)"
COLUMNS = (*TOTAL_KEYS, "traffic", "intensity", *STEP_KEYS)
NEARLY_ALL, MAX_ROWS = 0.8, 60  # Of a table with the default depth.


class Group(Frozen):
    """Some rows of a record. `output` is the shape of a module's output; `path` is None for a group of operators.

    `type` is a module's class or its operator; `calls` is the number of rows of a group of operators. `place` orders
    the groups of a tree: one pair per level, so that children follow their parent.
    """

    name: Cell
    totals: Totals
    output: str = MISSING
    type: str = ""
    path: str | None = None
    calls: int = 0
    place: tuple[tuple[float, float], ...] = ()
    leaf: bool = True


def groups(
    record: Record,
    depth: int | None = 1,
    *,
    by: By = "module",
    sort: str | None = None,
    top: int | None = None,
    fold: bool = False,
) -> list[Group]:
    """The groups of a record. Modules are in execution order, unless sorted; operators are sorted by MACs.

    `sort` is one of COLUMNS, the largest first; modules of a deeper level stay below their parent. `top` keeps that
    many groups and sums up the others; modules are then a list of those without children in the table. `fold` shows
    repeated modules as one, with their sum, unless `top` is given. Without a depth, only modules that have nearly all
    are divided. Raises AnalyzerError for unknown values.
    """
    if by not in get_args(By):
        raise AnalyzerError(f"by is {quoted(by)}; wanted one of: {', '.join(get_args(By))}")
    divided = has_nearly_all(record) if depth is None and top is None else None
    depth = default_depth(record, fold=fold) if depth is None else depth
    require_positive_int("depth", depth)
    if top is not None:
        require_positive_int("top", top)
    value = _value(record, sort) if sort else None
    largest = _value(record, "step_macs" if record.totals.step else "macs")
    if by == "module":
        order = value or (largest if top else lambda totals: 0)
        modules = _modules(record, depth, order, divided, full_names=top is not None, fold=fold and top is None)
        return modules if top is None else _largest([group for group in modules if group.leaf], top)
    members: dict[str, list[Row]] = {}
    for row in record.rows:
        members.setdefault(row.op if by == "operator" else operator_type(row), []).append(row)
    unsorted = [Group(Cell(name), total(rows), calls=len(rows)) for name, rows in members.items()]
    operators = sorted(unsorted, key=lambda group: -(value or largest)(group.totals))
    return operators if top is None else _largest(operators, top)


def default_depth(record: Record, *, fold: bool = False) -> int:
    """The first depth at which no module that could be divided has nearly all MACs, in a table of at most 60 rows.

    Without MACs, nearly all parameters.
    """
    nearly_all = has_nearly_all(record)
    parents = {path for module in record.modules for path in prefixes(module.path)[:-1]}

    def shown(depth: int) -> list[Group]:
        return _modules(record, depth, lambda totals: 0, nearly_all, full_names=False, fold=fold)

    depth, rows = 1, shown(1)
    while any(group.leaf and group.path in parents and nearly_all(group.totals) for group in rows):
        rows = shown(depth + 1)
        if len(rows) > MAX_ROWS:
            break
        depth += 1
    return depth


def has_nearly_all(record: Record) -> Callable[[Totals], bool]:
    """Whether sums are more than NEARLY_ALL of the record's MACs; without MACs, of its parameters."""
    totals = record.totals
    value = _value(record, "step_macs" if totals.step else "macs" if totals.macs else "params")
    limit = NEARLY_ALL * value(totals)
    return lambda part: value(part) > limit


def _value(record: Record, column: str) -> Callable[[Totals], float]:
    """A function that returns the value of a column. Raises AnalyzerError for a column that the record lacks."""
    sums = record.totals
    known = [name for name in COLUMNS if sums.value(name) is not None]
    if column not in known and column in COLUMNS:
        raise AnalyzerError(f"sort is {quoted(column)}, which needs train=True (--train)")
    if column not in known:
        raise AnalyzerError(f"sort is {quoted(column)}; {nearest(str(column), known)}")
    return lambda totals: totals.value(column) or 0


def _largest(sorted_groups: Sequence[Group], count: int) -> list[Group]:
    """The first groups, and one for the sum of all others."""
    rest = sorted_groups[count:]
    if not rest:
        return list(sorted_groups)
    name = Cell(f"({len(rest)} more)")
    summed = Group(name, total([group.totals for group in rest]), calls=sum(group.calls for group in rest))
    return [*sorted_groups[:count], summed]


def _modules(
    record: Record,
    depth: int,
    value: Callable[[Totals], float],
    divided: Callable[[Totals], bool] | None,
    *,
    full_names: bool,
    fold: bool,
) -> list[Group]:
    """Modules down to `depth`, the work of their own forward, and that of the model's own forward.

    With `divided`, only modules of which it is true are divided, and the module that the record is restricted to.
    Without `full_names`, a module's own forward is left out if it has neither MACs nor parameters.
    """
    modules = {module.path: module for module in record.modules}
    places = {path: (-value(module.totals), index) for index, (path, module) in enumerate(modules.items())}
    own_rows: dict[str, list[Row]] = {}
    rows_below: dict[str, list[Row]] = {}
    for row in record.rows:
        own_rows.setdefault(row.path, []).append(row)
        for path in prefixes(row.path):
            rows_below.setdefault(path, []).append(row)
    classes = record.count.types
    repeats = find_repeats(modules, partial(_key, rows_below, classes)) if fold else Repeats()
    result = []
    base = base_path(record.module, list(modules.values()))
    closed = {
        path
        for path, module in modules.items()
        if divided and path != base and not divided(module.totals.times(repeats.times(path)))
    }
    paths = [path for path in modules if closed.isdisjoint(prefixes(path)[:-1])] if closed else list(modules)
    for path, name, times, is_open in tree(paths, base, depth, repeats, own_rows):
        module = modules[path]
        place = tuple(places[prefix] for prefix in prefixes(path))
        output = shape_text(module.outputs[0][1:]) if module.outputs else MISSING
        kind = repeated(times, module_type(path, rows_below[path], classes))
        name = Cell(path) if full_names else name
        result.append(Group(name, module.totals.times(times), output, kind, path, place=place, leaf=not is_open))
        forward = total(own_rows.get(path, ()) if is_open else ()).times(times)
        if forward.macs or forward.params or (full_names and forward != total(())):
            title = f"{path} {OWN_FORWARD}" if full_names else OWN_FORWARD
            forward_name = Cell(title, depth=0 if full_names else name.depth + 1)
            result.append(Group(forward_name, forward, place=(*place, (-value(forward), -1))))
    if rows := top_level_rows(record):
        outside = total(rows)
        result.append(Group(Cell(TOP_LEVEL), outside, place=((-value(outside), inf),)))
    return sorted(result, key=lambda group: group.place[-1:] if full_names else group.place)


def _key(rows_below: Mapping[str, Sequence[Row]], classes: Mapping[str, str], path: str) -> Hashable:
    """What modules that are folded have in common: the class, and every operator with its figures."""
    rows = rows_below[path]
    same = tuple(row.replace(path=row.path[len(path) :], role="", sources=None, padding=None) for row in rows)
    return classes.get(path), same


def base_path(name: str | None, modules: Sequence[Module]) -> str:
    """The path of the module with that path or role; "" for the whole network."""
    if name is None or any(module.path == name for module in modules):
        return name or ""
    return next((module.path for module in modules if module.role == name), "")


def is_open(modules: Sequence[Module], path: str, base: str, depth: int) -> bool:
    """Whether a module's children have rows; the work of the module's own forward is then in none of them."""
    return tree_name(f"{path}.child", base, depth) is not None and any(
        module.path.startswith(f"{path}.") for module in modules
    )


def top_level_rows(record: Record) -> list[Row]:
    """The work of the model's own forward, outside any submodule."""
    return [] if record.module else [row for row in record.rows if not row.path]
