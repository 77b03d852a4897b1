"""Quantized weights whose elements torch does not show: their parameters and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

SCALE = 8  # Bytes of a scale and a zero point, 4 each, as in FBGEMM's and QNNPACK's packed weights.


class Packed(NamedTuple):
    """The parameters and the bytes of packed weights."""

    weights: int = 0
    biases: int = 0
    nbytes: int = 0


NOT_PACKED = Packed()


def packed_weights(args: Any) -> Packed:
    """The weights in the packed arguments of an operator of torch.ao's quantization."""
    total = [0, 0, 0]
    for weight, bias in _unpacked(args):
        biases = bias.numel() if isinstance(bias, Tensor) else 0
        per_channel = weight.is_quantized and weight.qscheme() != torch.per_tensor_affine
        scales = (weight.q_per_channel_scales().numel() if per_channel else 1) if weight.is_quantized else 0
        # A weight packed as float16 is unpacked as float32.
        element = weight.element_size() if weight.is_quantized else 2
        total[0] += weight.numel()
        total[1] += biases
        total[2] += weight.numel() * element + SCALE * scales + 4 * biases
    return Packed(*total)


def _unpacked(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, torch.ScriptObject):
        holder: Any = value  # torch declares none of its methods.
        if holder._has_method("unpack"):
            yield holder.unpack()[:2]
        elif holder._has_method("__getstate__"):
            yield from _unpacked(holder.__getstate__())
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _unpacked(item)


def logical_elements(parameter: Tensor) -> int:
    """The elements of a parameter; of a 4-bit weight of bitsandbytes, which holds two per byte, those it stands for."""
    state = getattr(parameter, "quant_state", None)
    shape = None if state is None else getattr(state, "shape", None)
    return parameter.numel() if shape is None else prod(shape)
