"""Counting models that are split over devices: the work of torch.distributed to split them is not counted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes


@contextmanager
def distributed_as_usual() -> Iterator[None]:
    """Lets torch.distributed run in a count as it does outside.

    DTensor infers a result's placement by running the operator on placeholder tensors, and caches it. Dispatch modes
    are switched off there, because otherwise a first count would differ from the second. `fully_shard` keeps the
    gathered parameters for later passes, so they are made outside inference mode.
    """
    with ExitStack() as stack:
        if package := sys.modules.get("torch.distributed.tensor"):
            propagator = package.DTensor._op_dispatcher.sharding_propagator
            for name in ("propagate_op_sharding", "propagate_op_sharding_non_cached"):
                stack.enter_context(_wrapped(propagator, name, _disable_current_modes))
        if package := sys.modules.get("torch.distributed.fsdp._fully_shard._fsdp_param_group"):
            for name in ("unshard", "wait_for_unshard"):
                stack.enter_context(_wrapped(package.FSDPParamGroup, name, partial(torch.inference_mode, False)))
        yield


@contextmanager
def _wrapped(owner: Any, name: str, context: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Runs a method of a class or object in a context of its own."""
    function, inherited = getattr(owner, name), name not in vars(owner)

    def call(*args: Any, **kwargs: Any) -> Any:
        with context():
            return function(*args, **kwargs)

    setattr(owner, name, call)
    try:
        yield
    finally:
        delattr(owner, name) if inherited else setattr(owner, name, function)


def is_fully_sharded(modules: Iterable[nn.Module]) -> bool:
    """Whether `fully_shard` (FSDP2) or `FullyShardedDataParallel` (FSDP1) was applied to any of the modules."""
    modules = list(modules)
    return bool(_of_class(modules, "FSDPModule") or _of_class(modules, "FullyShardedDataParallel"))


def reshard(modules: Iterable[nn.Module]) -> None:
    """Gives modules under `fully_shard` their sharded parameters again, which a root keeps whole after forward."""
    for module in _of_class(modules, "FSDPModule"):
        module.reshard()


def _of_class(modules: Iterable[nn.Module], name: str) -> list[Any]:
    kind = getattr(sys.modules.get("torch.distributed.fsdp"), name, None)
    return [module for module in modules if isinstance(module, kind)] if kind is not None else []
