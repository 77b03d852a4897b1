"""A backward pass cut by the nodes of autograd's graph: each belongs to the tile of the forward pass that made it.

A node has the number that was current when its operator ran; a tile of the forward pass knows between which numbers
it ran. Nodes that add a gradient to a parameter have none, and belong to the parameter's module.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

NOWHERE = -1  # Made between tiles, or outside of the model.


def sequence_number() -> int:
    """The number that the next node of this thread gets."""
    return int(torch._C._autograd._get_sequence_nr())


class Backward:
    """`with cut.attached(loss): loss.backward()` leaves two marks a node in `cut.marks`, and its place in `cut.places`.

    `spans` are the first and the last number, exclusive, of every forward tile in order. A place is the number of a
    tile, of `len(spans) + n` for the parameter with number n of `parameters`, or NOWHERE.
    """

    def __init__(
        self, mark: Callable[[], Any], spans: Sequence[tuple[int, int]], parameters: Mapping[int, int]
    ) -> None:
        self.mark, self.spans, self.parameters = mark, spans, parameters
        self.starts = [start for start, _ in spans]
        self.marks: list[Any] = []
        self.places: list[int] = []

    @contextmanager
    def attached(self, loss: Tensor) -> Iterator[None]:
        handles = []
        mark, marks, places = self.mark, self.marks, self.places
        for node in _nodes(loss.grad_fn):
            place = self._place(node)

            def before(_: Any, place: int = place) -> None:
                places.append(place)
                marks.append(mark())

            def after(*_: Any) -> None:
                marks.append(mark())

            handles += [node.register_prehook(before), node.register_hook(after)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _place(self, node: Any) -> int:
        variable = getattr(node, "variable", None)
        if variable is not None:
            parameter = self.parameters.get(id(variable))
            return NOWHERE if parameter is None else len(self.spans) + parameter
        number = node._sequence_nr()
        at = bisect_right(self.starts, number) - 1  # Of tiles with one start, all but the last are empty.
        return at if at >= 0 and self.spans[at][0] <= number < self.spans[at][1] else NOWHERE


def _nodes(root: Any) -> Iterator[Any]:
    """Every node that a backward pass from `root` runs, once."""
    seen, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
