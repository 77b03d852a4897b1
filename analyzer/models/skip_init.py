"""Builds a model on meta and without initialising its weights, so that large models take neither memory nor time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Model = TypeVar("Model")

INITIALISERS = frozenset(
    f"aten::{name}_"
    for name in ("uniform normal random exponential geometric log_normal cauchy bernoulli erfinv fill zero").split()
)


def skip_init(factory: Callable[[], Model]) -> Model:
    """Calls the factory with initialisation skipped: on meta, or on the CPU if its code needs tensor values."""
    with torch.random.fork_rng(devices=[]):
        try:
            with _SkipInit(), torch.device("meta"):  # type: ignore[no-untyped-call]
                return factory()
        except Exception:
            with _SkipInit():  # type: ignore[no-untyped-call]
                return factory()


class _SkipInit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Skips initialisers of large tensors, and all in-place arithmetic on meta."""

    MIN_SIZE = 4096  # Elements; smaller tensors may hold constants that the code reads.

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default guards the method with torch._dynamo, whose import takes a second.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if args and isinstance(args[0], torch.Tensor):
            target = args[0]
            if name in INITIALISERS and (target.is_meta or target.numel() >= self.MIN_SIZE):
                return target
            if target.is_meta and name.endswith("_") and func._schema.is_mutable and _keeps_shape(target, args[1:]):
                return target
        return func(*args, **(kwargs or {}))


def _keeps_shape(target: torch.Tensor, others: Any) -> bool:
    """Arithmetic with numbers only: with other tensors it may fail or change shape and dtype."""
    return not any(isinstance(other, torch.Tensor) for other in others) and target.is_floating_point()
