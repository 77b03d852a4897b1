"""Every operator that torch runs, looked up in the registry: the dispatch mode that all counters share."""

from __future__ import annotations

from typing import Any, Self

from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.dispatch.module_tracker import ModuleTracker
from analyzer.counting.dispatch.tensors import dispatches_itself
from analyzer.counting.operators.higher_order import CHOICES
from analyzer.counting.operators.registry import Operator, lookup
from analyzer.counting.shape_rules.infer import infer


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default guards the method with torch._dynamo, whose import takes a second.


class OperatorTracker(ModuleTracker):
    """`with tracker:` runs every operator through `run_operator`, which subclasses override."""

    mode: DispatchMode

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the operator and returns its result: on meta by shape rule where a rule is sure, else from torch."""
        result = infer(known.name, args, kwargs)
        return func(*args, **kwargs) if result is NotImplemented else result

    def decompose(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a composite operator as its parts, each through `run_operator`."""
        with self.mode:
            return func.decompose(*args, **kwargs)

    def __enter__(self) -> Self:
        super().__enter__()
        self.mode = _OperatorMode(self)
        self.mode.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        self.mode.__exit__(*error)  # type: ignore[no-untyped-call]
        del self.mode  # A reference cycle would keep the model's tensors until the next garbage collection.
        super().__exit__(*error)


class _OperatorMode(DispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, tracker: OperatorTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types and dispatches_itself(types):
            return NotImplemented  # Such as a nested tensor: the operators that it runs on plain tensors come next.
        known = lookup(func)
        if known.name in CHOICES:
            with self:
                return CHOICES[known.name](*args, **(kwargs or {}))
        return self.tracker.run_operator(func, known, args, kwargs or {})
