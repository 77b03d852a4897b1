"""Operators of a backward pass that torch runs in place unless a dispatch mode, or a meta tensor, takes part.

torch adds a second gradient to the first one if nothing else refers to the first (`accumulate` in its
`input_buffer.cpp`), and formulas of gradients write into zeros that they have just made (`areAnyTensorSubclassLike` in
its `FunctionsManual.cpp`). Both treat every tensor like a subclass while a dispatch mode is active, and then allocate a
tensor more.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from analyzer.counting.dispatch.operator_tracker import DispatchMode
from analyzer.counting.dispatch.tensors import is_fake, run_backward

aten = torch.ops.aten
# Operators that formulas of gradients call out of place only because of the mode; the first argument is new.
INTO_NEW = frozenset(
    {
        aten.index_put.default,
        aten.scatter.src,
        aten.scatter_add.default,
        aten.index_add.default,
        aten.index_fill.int_Tensor,
        aten.put.default,
        aten.masked_scatter.default,
    }
)
ADDITION = aten.add.Tensor
# Since torch 2.14 the gradient of a bound is halved where both are equal, and zeros are filled in at the end.
_SPLITS_TIES = TorchVersion(torch.__version__) >= "2.14"
_FILLS = ("ClampBackward0", "ClampMinBackward1", "ClampMaxBackward1", "MinimumBackward0", "MaximumBackward0",
          "FminBackward0", "FmaxBackward0")  # fmt: skip
INTO_NEW_OF_NODE = {
    "AminmaxBackward0": frozenset({ADDITION}),
    "Atan2Backward0": frozenset({aten.masked_fill.Scalar}),
    "BinaryCrossEntropyWithLogitsBackward0": frozenset({aten.sub.Tensor, aten.mul.Tensor}),
    "BinaryCrossEntropyBackward0": frozenset({aten.mul.Tensor}),
    **(
        dict.fromkeys(_FILLS, frozenset({aten.masked_fill.Scalar}))
        if _SPLITS_TIES
        else {"ClampBackward0": frozenset({aten.logical_and.default, aten.logical_or.default})}
    ),
}
OUT_OF_PLACE_NODES = frozenset({"ScatterReduceBackward0", "IndexReduceBackward0"})
_CANDIDATES = INTO_NEW.union(*INTO_NEW_OF_NODE.values())


def writes_into_new(func: Any, args: Sequence[Any], node: int, made_in: int) -> bool:
    """Whether torch, without a mode, would write the result of an operator of a backward pass into its first argument.

    `node` runs now; `made_in` is the node that allocated the first argument. Most sums within a node are terms of
    its formula, and out of place.
    """
    if torch.is_grad_enabled():
        return False
    if made_in == node and _is_in_place(func, torch._C._current_autograd_node()):
        return True
    return (
        func is ADDITION and (made_in != node or _feeds_an_input_twice()) and _is_unique(args) and _is_of_the_engine()
    )


def may_write(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether `writes_into_new` may hold: two tensors are added, or such an operator runs."""
    if func is not ADDITION:
        return func in _CANDIDATES and not kwargs
    first, *others = args
    return (
        len(others) == 1
        and not kwargs
        and isinstance(others[0], Tensor)
        and first.shape == others[0].shape
        and first.dtype == others[0].dtype
        and others[0].layout == torch.strided
    )


def _is_in_place(func: Any, node: Any) -> bool:
    """Not in a `torch.autograd.Function`, which calls what it wants to."""
    if isinstance(node, torch._C._FunctionBase):
        return False
    name = node.name()
    return (func in INTO_NEW and name not in OUT_OF_PLACE_NODES) or func in INTO_NEW_OF_NODE.get(name, ())


def _is_unique(args: Sequence[Any]) -> bool:
    """Whether torch alone refers to the first argument and to its storage, which has no gaps."""
    first: Tensor = args[0]
    plain = (type(first) is Tensor or is_fake(first)) and first.layout == torch.strided and _is_dense(first)
    del first  # It is a reference too.
    return plain and _references(args) == references_if_unique()


def _references(args: Sequence[Any]) -> tuple[int, int]:
    """The references to the first argument and to its storage."""
    return args[0]._use_count(), torch._C._storage_Use_Count(args[0].untyped_storage()._cdata)


@cache
def references_if_unique() -> tuple[int, int]:
    """Those of a gradient to which torch adds another one; releases of torch differ in them.

    Called first outside a backward pass: in a pass within a pass they are fewer.
    """
    probe = _Probe()
    with torch.inference_mode(False), torch.enable_grad():
        # On meta the first product would import half of torch.
        source = torch.zeros(2, device="cpu", requires_grad=True)
        outputs = [source * 2, source * 3]
        with probe:
            run_backward(outputs)
    return probe.references


class _Probe(DispatchMode):  # type: ignore[no-untyped-call]
    references = (0, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is ADDITION:
            self.references = _references(args)
        return func(*args, **(kwargs or {}))


def _is_of_the_engine() -> bool:
    """Whether torch's engine itself runs the operator, and no Python code such as a hook or a function's `backward`."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "__torch_dispatch__":
        frame = frame.f_back
    caller = frame and frame.f_back
    return caller is not None and caller.f_code.co_name in ("run_backward", "_engine_run_backward")


def _feeds_an_input_twice() -> bool:
    """Whether two gradients of the node that has run are of one tensor, as those of `x * x` are."""
    node: Any = torch._C._current_autograd_node()
    edges = [edge for edge in node.next_functions if edge[0] is not None]
    return len(set(edges)) < len(edges)


def _is_dense(tensor: Tensor) -> bool:
    """Whether the elements have neither gaps nor overlaps."""
    if tensor.is_contiguous():
        return True
    span = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride != span:
                return False
            span *= size
    return True
