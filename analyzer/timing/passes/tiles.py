"""What the tiles of a pass are: one counted pass, cut at the same places, says which rows each of them holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from analyzer.core.frozen import Frozen
from analyzer.counting.dispatch import counter as dispatch
from analyzer.records.record import Count, Row
from analyzer.timing.passes.instrument import Cut


class Tile(Frozen):
    """One operator of the pass, in its place. `rows` are the numbers of the rows that it makes; a view makes none.

    `ran` is what a cut pass calls it: two passes are of the same operators if these are equal.
    """

    path: str
    op: str
    call: int
    rows: tuple[int, ...] = ()
    ran: int | str = ""


def tiles_of(model: nn.Module, run: Callable[[], Any], *, autograd: bool = False) -> tuple[tuple[Tile, ...], Count]:
    """The tiles of the pass that `run` makes, in order, and its count. The pass runs once, under a counter.

    `autograd` is for a forward pass that takes gradients itself.
    """
    places: list[tuple[str, str]] = []
    with dispatch.recording(model, autograd=autograd) as ledger:

        def noted(op: str, leaf: nn.Module | None) -> None:
            above = ledger.stack[-1].path if ledger.stack else ""
            places.append((ledger.paths.get(id(leaf), above) if leaf else above, op))

        # The clock of this pass is the number of rows: a tile's are those that come up to where the next one starts.
        cut = Cut(lambda: len(ledger.rows), noted)
        with cut.installed(model), cut:
            run()
    starts = [*cut.marks[::2], len(ledger.rows)]
    rows, count = list(ledger.rows), ledger.count()
    held = [tuple(range(start, end)) for start, end in pairwise(starts)]
    calls: Counter[tuple[str, str]] = Counter()
    tiles = [
        _tile(path, op, [rows[n] for n in own], own, calls).replace(ran=ran)
        for (path, op), own, ran in zip(places, held, cut.ran, strict=True)
    ]
    return tuple(tiles), count


def _tile(path: str, op: str, rows: Sequence[Row], numbers: tuple[int, ...], calls: Counter[tuple[str, str]]) -> Tile:
    """Of one row a tile takes the name; of several, such as attention's, and of none it has its function's."""
    if len(rows) == 1:
        return Tile(rows[0].path, rows[0].op, rows[0].call, numbers)
    calls[path, op] += 1
    return Tile(path, op, calls[path, op], numbers)
