"""Memory of an embedding bag: the tensors that torch's CPU kernel returns besides the bags.

On meta they have other sizes. See `make_offset2bag_out` and `make_max_indices_out` in ATen's `EmbeddingBag.cpp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

SUM, MAX = 0, 2
FAST_DTYPES = frozenset({torch.float32, torch.float16, torch.bfloat16})


def as_on_a_cpu(result: Sequence[Tensor], args: Sequence[Any]) -> Sequence[Tensor]:
    """The bags, the bag of each index, the size of each bag and the place of each maximum."""
    weight, indices = args[:2]
    mode, padding = (*args[4:5], 0)[0], (*args[8:9], -1)[0]
    bags, index_bags, sizes, places = result
    fast = mode == SUM and weight.dtype in FAST_DTYPES and weight.stride(1) == 1 and padding < 0
    index_bags = index_bags.new_empty(0 if fast else len(indices) + 1)[: len(indices)]
    return bags, index_bags, sizes, places if mode == MAX else sizes.new_empty(sizes.shape)


aten = torch.ops.aten
EMBEDDING_BAG_RESULTS = dict.fromkeys(
    (aten._embedding_bag.default, aten._embedding_bag_forward_only.default), as_on_a_cpu
)
