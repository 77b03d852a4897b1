"""Instruments a backward pass by the nodes of autograd's graph; each belongs to the forward operator that created it.

Autograd numbers nodes in the order of creation, and each forward operator records the numbers at its start and end.
Nodes that accumulate a parameter's gradient have no number, and belong to the parameter's module.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

NO_OWNER = -1  # Created between operators, or outside of the model.


def sequence_number() -> int:
    """The number of the next node that this thread creates."""
    return int(torch._C._autograd._get_sequence_nr())


class BackwardInstrument:
    """`with instrument.attached(loss): loss.backward()` appends a mark at the start of each node to `marks`, and its
    owner to `owners`. A node lasts until the next one starts: a hook at its end would cost more than many nodes, since
    it gets all gradients as Python objects.

    `spans` are the sequence numbers, start and exclusive end, of each forward operator. An owner is the index of an
    operator, `len(spans) + n` for the parameter with number n in `parameters` (by id), or NO_OWNER.
    """

    def __init__(
        self, mark: Callable[[], Any], spans: Sequence[tuple[int, int]], parameters: Mapping[int, int]
    ) -> None:
        self.mark, self.spans, self.parameters = mark, spans, parameters
        self.starts = [start for start, _ in spans]
        self.marks: list[Any] = []
        self.owners: list[int] = []

    @contextmanager
    def attached(self, loss: Tensor) -> Iterator[None]:
        handles = []
        mark, marks, owners = self.mark, self.marks, self.owners
        for node in _nodes(loss.grad_fn):

            def before(_: Any, owner: int = self._owner(node)) -> None:
                owners.append(owner)
                marks.append(mark())

            handles.append(node.register_prehook(before))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _owner(self, node: Any) -> int:
        variable = getattr(node, "variable", None)
        if variable is not None:
            parameter = self.parameters.get(id(variable))
            return NO_OWNER if parameter is None else len(self.spans) + parameter
        number = node._sequence_nr()
        index = bisect_right(self.starts, number) - 1  # Of equal starts, only the last has nodes.
        return index if index >= 0 and self.spans[index][0] <= number < self.spans[index][1] else NO_OWNER


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
