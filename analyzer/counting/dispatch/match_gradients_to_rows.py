"""Assigns gradients to the rows of the forward pass, by the numbers of autograd's nodes."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer.records.rows import Row


@dataclass
class Product:
    """A forward operator with MACs, and its node's number; another number for each time a checkpoint reruns it."""

    macs: int
    numbers: list[int]

    @property
    def recomputed_macs(self) -> int:
        return self.macs * (len(self.numbers) - 1)


def with_gradients(
    rows: Sequence[Row], products: Mapping[str, Sequence[Product]], node_macs: Mapping[int, int], recomputed_macs: int
) -> list[Row]:
    """Assigns to each row the forward operators of its path in order, and with them their gradients.

    `products` are the forward operators by path, `node_macs` the MACs of each backward node, `recomputed_macs` those of
    all products that ran again. A row's forward operators add up to its MACs, which is how the two passes are matched.
    What matches no row, such as a product that only the second run of a checkpoint has, counts to the last row.
    """
    numbers = sorted({n for of_path in products.values() for product in of_path for n in product.numbers})
    macs_of: Counter[int] = Counter()
    for number, macs in node_macs.items():
        # A node whose forward has no MACs, such as a custom function's, counts to the operator before it.
        macs_of[numbers[max(bisect_right(numbers, number) - 1, 0)] if numbers else number] += macs
    queues = {path: deque(of_path) for path, of_path in products.items()}
    remaining_recomputed = recomputed_macs
    result = []
    for row in rows:
        queue, remaining, backward, recomputed = queues.get(row.path, deque()), row.macs, 0, 0
        while remaining > 0 and queue:
            product = queue.popleft()
            remaining -= product.macs
            backward += sum(macs_of.pop(number, 0) for number in product.numbers)
            recomputed += product.recomputed_macs
        remaining_recomputed -= recomputed
        result.append(_with(row, backward, recomputed if recomputed_macs else None))
    if result:
        result[-1] = _with(result[-1], macs_of.total(), remaining_recomputed if recomputed_macs else None)
    return result


def _with(row: Row, backward: int, recomputed: int | None) -> Row:
    if recomputed is not None:
        recomputed += row.recomputed_macs or 0
    return row.replace(backward_macs=(row.backward_macs or 0) + backward, recomputed_macs=recomputed)
