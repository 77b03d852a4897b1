"""Builds a model on meta and without initializing its weights, so that large models take neither memory nor time.

A value that the model's code reads while it is built never comes from uninitialized memory: it is known because it does
not depend on weights, or the model is built on the CPU by its own initialization.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.models.failing_forward_errors import is_certain
from analyzer.models.values_on_meta import KnownValues, Literals

Model = TypeVar("Model")

INITIALIZERS = frozenset(
    f"aten::{name}_"
    for name in ("uniform normal random exponential geometric log_normal cauchy bernoulli erfinv fill zero").split()
)
# Elements of a constant, such as one drop rate per layer or the indices of relative positions.
MAX_KNOWN = 1 << 14
SEED = 0


def skip_init(factory: Callable[[], Model]) -> Model:
    """Calls the factory with initialization skipped: on meta; with known values of small constants, where its code
    reads a value; or as `initialized` does, where it reads a value that depends on weights.

    Raises the factory's error at once if it does not depend on values: initialized weights may take all memory.
    """
    failures: list[Exception] = []
    with _restore_generators():
        for values in (None, KnownValues(MAX_KNOWN)):
            try:
                return _on_meta(factory, values)
            except Exception as error:
                failures.append(error)
        if is_certain(failures):
            raise failures[0]
        return initialized(factory)


def initialized(factory: Callable[[], Model]) -> Model:
    """Calls the factory with its own initialization, from fixed seeds of torch, Python and NumPy."""
    with _restore_generators():
        torch.manual_seed(SEED)
        random.seed(SEED)
        if (numpy := sys.modules.get("numpy")) is not None:
            numpy.random.seed(SEED)
        return factory()


def _on_meta(factory: Callable[[], Model], values: KnownValues | None = None) -> Model:
    mode = _SkipInit()
    with ExitStack() as stack:
        stack.enter_context(mode)
        stack.enter_context(torch.device("meta"))
        if values is not None:
            stack.enter_context(values)
            stack.enter_context(Literals(values))
        try:
            model = factory()
        except Exception:
            if mode.refusal is None:
                raise
    if mode.refusal is not None:
        raise mode.refusal
    return model


@contextmanager
def _restore_generators() -> Iterator[None]:
    python, numpy = random.getstate(), sys.modules.get("numpy")
    state = numpy.random.get_state() if numpy else None
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            if numpy is not None:
                numpy.random.set_state(state)


class _SkipInit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Skips initializers and in-place arithmetic on meta.

    `refusal` is the first error of an operator, such as of one that reads a value. Code that handles it would build
    another model.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.refusal: Exception | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default guards the method with torch._dynamo, whose import takes a second.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            target, schema = args[0], func._schema
            if schema.name in INITIALIZERS:
                return target
            if schema.name.endswith("_") and schema.is_mutable and _keeps_shape(target, args[1:]):
                return target
        try:
            return func(*args, **(kwargs or {}))
        except Exception as error:
            self.refusal = self.refusal or error
            raise


def _keeps_shape(target: torch.Tensor, others: Any) -> bool:
    """Arithmetic with numbers only: with other tensors it may fail or change shape and dtype."""
    return not any(isinstance(other, torch.Tensor) for other in others) and target.is_floating_point()
