"""Building a model without paying for it: on meta, and without running its initialisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Made = TypeVar("Made")

INITIALISERS = frozenset(
    f"aten::{name}_"
    for name in ("uniform normal random exponential geometric log_normal cauchy bernoulli erfinv fill zero").split()
)


def sketched(make: Callable[[], Made]) -> Made:
    """What `make` makes, its weights not initialised: on meta, or on the CPU where it asks for values on the way."""
    with torch.random.fork_rng(devices=[]):
        try:
            with _Uninitialised(), torch.device("meta"):  # type: ignore[no-untyped-call]
                return make()
        except Exception:
            with _Uninitialised():  # type: ignore[no-untyped-call]
                return make()


class _Uninitialised(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Leaves out what only gives large tensors their first values, and all arithmetic in place on meta."""

    LARGE = 4096

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # See dispatch.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if args and isinstance(args[0], torch.Tensor):
            target = args[0]
            if name in INITIALISERS and (target.is_meta or target.numel() >= self.LARGE):
                return target
            if target.is_meta and name.endswith("_") and func._schema.is_mutable and _same(target, args[1:]):
                return target
        return func(*args, **(kwargs or {}))


def _same(target: torch.Tensor, others: Any) -> bool:
    """Only with numbers: what is computed with other tensors may change its shape or its kind."""
    return not any(isinstance(other, torch.Tensor) for other in others) and target.is_floating_point()
