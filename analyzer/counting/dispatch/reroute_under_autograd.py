"""How a pass under autograd runs products, so that its backward pass shows the gradients of what the user wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from analyzer.counting.dispatch import recurrent
from analyzer.counting.dispatch.backward_macs import GradientTracker
from analyzer.counting.dispatch.concatenation import CONCATENATIONS, concatenate, has_many_inputs
from analyzer.counting.operators.einsum_as_matmul import EinsumAsMatmul

CONVOLUTIONS = frozenset(
    getattr(torch, name)
    for name in ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
)


class ProductsAsWritten(EinsumAsMatmul):
    """Recurrent layers as products over all steps, and one gradient for an input of many concatenations.

    Also reports complex convolutions to the tracker.
    """

    def __init__(self, tracker: GradientTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in recurrent.GATES or func in recurrent.CELLS:
            result = recurrent.as_products(func, args, kwargs or {})
            return func(*args, **(kwargs or {})) if result is NotImplemented else result
        if func in CONCATENATIONS and has_many_inputs(args, kwargs or {}):
            return concatenate(self.tracker.reached, func, *args, **(kwargs or {}))
        if func in CONVOLUTIONS and args[0].is_complex():
            with self.tracker.complex_convolution():
                return func(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)


@contextmanager
def plain_recurrent_layers() -> Iterator[None]:
    """Turns off the recurrent layers of oneDNN and cuDNN, which always compute all gradients in one operator."""
    onednn, cudnn = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    torch._C._set_cudnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_cudnn_enabled(cudnn)
        torch._C._set_mkldnn_enabled(onednn)
