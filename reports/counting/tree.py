"""The modules that a table shows as a tree, with equal modules in one row.

Consecutive siblings of one type with equal figures, such as the blocks of a transformer, are a run. Its row, `0–11`,
has the sum of their figures, and the rows below it the sums over the parts of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from functools import cache
from os.path import commonprefix
from typing import NamedTuple

from analyzer.core.frozen import Frozen
from analyzer.records.rows import prefixes
from reports.table import Cell

DIGITS = re.compile(r"\d+")
MIN_NAMED = 3  # Modules with names: `conv3_2` and `conv3_3` have a row each; numbers of a list are folded from two on.


class Repeats(Frozen):
    """`runs`: the last path of a run and its length by the first path. `hidden`: the other paths of all runs."""

    runs: Mapping[str, tuple[str, int]] = {}
    hidden: frozenset[str] = frozenset()

    def times(self, path: str) -> int:
        """How many modules a shown path stands for: 12 for a part of 12 equal blocks."""
        count = 1
        for prefix in prefixes(path):
            count *= self.runs.get(prefix, ("", 1))[1]
        return count

    def is_hidden(self, path: str) -> bool:
        return any(prefix in self.hidden for prefix in prefixes(path))


class Node(NamedTuple):
    """A row of the tree: a module, or `times` equal ones. `is_open`: its submodules have rows."""

    path: str
    name: Cell
    times: int
    is_open: bool


def find_repeats(paths: Iterable[str], key: Callable[[str], Hashable]) -> Repeats:
    """The runs among modules; siblings with equal keys are equal, including all that is below them."""
    key = cache(key)
    siblings: dict[str, list[str]] = {}
    for path in paths:
        siblings.setdefault(path.rpartition(".")[0], []).append(path)
    runs: dict[str, tuple[str, int]] = {}
    hidden: list[str] = []
    for names in siblings.values():
        start = 0
        for end in range(1, len(names) + 1):
            if end < len(names) and _is_next(names[end - 1], names[end]) and key(names[end]) == key(names[start]):
                continue
            run = names[start:end]
            if len(run) >= (2 if run[0].rpartition(".")[2].isdigit() else MIN_NAMED):
                runs[run[0]] = (run[-1], len(run))
                hidden += run[1:]
            start = end
    return Repeats(runs, frozenset(hidden))


def _is_next(before: str, after: str) -> bool:
    """Whether the names of two siblings differ in their number only: `0` and `1`, `layer1` and `layer2`."""
    before, after = before.rpartition(".")[2], after.rpartition(".")[2]
    return DIGITS.sub("0", before) == DIGITS.sub("0", after) and before != after


def tree(paths: Iterable[str], base: str, depth: int, repeats: Repeats, own: Collection[str]) -> list[Node]:
    """The modules down to `depth` below `base`, parents before their children.

    A module that has nothing but one run is part of the run's name, `h.0–11`; `own` are the paths of modules that have
    more than their submodules.
    """
    shown = [path for path in paths if not repeats.is_hidden(path)]
    children: dict[str, list[str]] = {}
    for path in shown:
        children.setdefault(path.rpartition(".")[0], []).append(path)
    joined: dict[str, str] = {}  # The names of modules that are part of the name of a run.
    nodes = []
    for path in shown:
        name = tree_name(path, base, depth)
        if name is None:
            continue
        below, parent = children.get(path, []), path.rpartition(".")[0]
        text = f"{joined[parent]}.{path[len(parent) + 1 :]}" if parent in joined else name.text
        if path in repeats.runs:
            text = f"{text}–{_number(path, repeats.runs[path][0])}"
        is_open = bool(below) and tree_name(below[0], base, depth) is not None
        if is_open and len(below) == 1 and below[0] in repeats.runs and path != base and path not in own:
            joined[path] = text
            continue
        name = Cell(text, depth=name.depth - sum(map(joined.__contains__, prefixes(path))))
        nodes.append(Node(path, name, repeats.times(path), is_open))
    return nodes


def _number(first: str, last: str) -> str:
    """What differs at the end of the names of a run: `layer_0`, `layer_11` → `11`."""
    first, last = first.rpartition(".")[2], last.rpartition(".")[2]
    common = commonprefix([first, last]).rstrip("0123456789")  # noqa: RUF071 – of names, not of paths
    return last.removeprefix(common)


def tree_name(path: str, base: str, depth: int) -> Cell | None:
    """A path as a name in the tree below `base`, or None if it is outside or deeper than `depth`.

    Without a base the top level is depth 1 and not indented; with one, the base itself is the root.
    """
    if base and path != base and not path.startswith(f"{base}."):
        return None
    below = path[len(base) :].count(".") if base else path.count(".") + 1
    if below > depth:
        return None
    indent = below if base else below - 1
    return Cell(path.rpartition(".")[2] if indent else path, depth=indent)
