"""The modules of a comparison as a tree, with equal modules in one row, as in the table of one model.

Modules are equal if they are equal within every record: 12 equal blocks of 64 channels against 12 equal ones of 96 are
a row, `0–11`, with the sums of both.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial

from analyzer.core.frozen import Frozen
from analyzer.records.comparison import TOTAL, Comparison
from analyzer.records.record import Record
from analyzer.records.rows import Row, Totals, prefixes
from reports.counting.groups import default_depth, has_nearly_all
from reports.counting.tree import Repeats, find_repeats, tree
from reports.counting.type_names import repeated
from reports.table import Cell

MAX_UNMATCHED, MIN_RUN = 20, 3  # Rows of modules of one record only, before runs of them are folded; their length.


class ComparedModule(Frozen):
    """A row: its values in the records, None in those without the module. `type` is that of a run, `12 × Block`."""

    role: str
    name: Cell
    values: tuple[int | None, ...]
    type: str = ""

    @property
    def is_unmatched(self) -> bool:
        """Whether only one record has the module."""
        return self.values.count(None) == len(self.values) - 1


def compared_modules(
    comparison: Comparison, metric: str, depth: int | None, *, fold: bool = True
) -> list[ComparedModule]:
    """Modules with the metric in any of the records, down to `depth` below a restriction; the total last.

    Without a depth, the depth is the largest default of the records, and only modules that have nearly all of a record
    are divided. If many modules are in one record only, those that follow each other share a row. Without `fold`,
    equal modules have a row each.
    """
    records, modules = comparison.records, comparison.modules
    base = records[0].module or ""
    base = base if base in modules else ""
    rows_below = [_rows_by_role(record) for record in records]
    classes = [record.count.types for record in records]
    roles = [role for role in modules if role != TOTAL]
    repeats = find_repeats(roles, partial(_key, rows_below, classes)) if fold else Repeats()
    if depth is None:
        depth = max(default_depth(record, fold=fold) for record in records)
        roles = _divided(roles, modules, base, repeats, list(map(has_nearly_all, records)))
    leaf_roles = {row.role for record in records for row in record.rows}
    shown = []
    for role, name, times, _ in tree(roles, base, depth, repeats, leaf_roles):
        values = tuple(_value(totals, metric, times) for totals in modules[role])
        if any(values) or role == base:
            kind = next((types[role] for types in classes if role in types), "modules") if times > 1 else ""
            shown.append(ComparedModule(role, name, values, repeated(times, kind)))
    if sum(module.is_unmatched for module in shown) > MAX_UNMATCHED:
        shown = _fold_unmatched(shown)
    whole = tuple(_value(totals, metric) for totals in modules[TOTAL])
    return [*shown, ComparedModule(TOTAL, Cell(TOTAL), whole)]


def _value(totals: Totals | None, metric: str, times: int = 1) -> int | None:
    value = None if totals is None else totals.value(metric)
    return None if value is None else times * value


def _rows_by_role(record: Record) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for row in record.rows:
        for role in prefixes(row.role):
            rows.setdefault(role, []).append(row)
    return rows


def _key(
    rows_below: Sequence[Mapping[str, Sequence[Row]]], classes: Sequence[Mapping[str, str]], role: str
) -> Hashable:
    """What modules that are folded have in common in each record: the class, and every operator with its figures."""
    return tuple(
        (
            types.get(role),
            tuple(
                row.replace(path="", role=row.role[len(role) :], sources=None, padding=None)
                for row in rows.get(role, ())
            ),
        )
        for rows, types in zip(rows_below, classes, strict=True)
    )


def _divided(
    roles: Sequence[str],
    modules: Mapping[str, tuple[Totals | None, ...]],
    base: str,
    repeats: Repeats,
    tests: Sequence[Callable[[Totals], bool]],
) -> list[str]:
    """The roles without those below modules that have nearly all of no record."""
    closed = {
        role
        for role in roles
        if role != base
        and not any(
            totals and test(totals.times(repeats.times(role)))
            for totals, test in zip(modules[role], tests, strict=True)
        )
    }
    return [role for role in roles if closed.isdisjoint(prefixes(role)[:-1])]


def _fold_unmatched(modules: Sequence[ComparedModule]) -> list[ComparedModule]:
    """Siblings in a run that only one record has become one row with their sum: `conv3…conv5`."""
    folded: list[ComparedModule] = []
    index = 0
    while index < len(modules):
        first = modules[index]
        parent, missing = first.role.rpartition(".")[0], [value is None for value in first.values]
        run = [first]
        end = index + 1
        while first.is_unmatched and end < len(modules):
            other = modules[end]
            if other.role.rpartition(".")[0] == parent and [value is None for value in other.values] == missing:
                run.append(other)
            elif not other.role.startswith(f"{run[-1].role}."):
                break
            end += 1
        if len(run) < MIN_RUN:
            folded.append(first)
            index += 1
            continue
        name = Cell(f"{first.name.text}…{run[-1].name.text}", depth=first.name.depth)
        sums = (None if lacks else sum(row.values[place] or 0 for row in run) for place, lacks in enumerate(missing))
        folded.append(ComparedModule(first.role, name, tuple(sums)))
        index = end
    return folded
