"""fvcore as a third opinion: its trace, its own formulas, put under our paths.

fvcore counts a multiply-add as 1, so its convolutions and products are our MACs. It also counts norms and adaptive
pools into the same sum: those are no multiply-adds by our convention and are left out here by name. It has no
formula for other pools, for activations such as ReLU, and none for LRN, dropout or bytes; it cannot run on meta.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from fvcore.nn.activation_count import _DEFAULT_SUPPORTED_OPS as ACTIVATION_FORMULAS
from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as FLOP_FORMULAS
from fvcore.nn.jit_analysis import JitModelAnalysis
from torch import nn

from analyzer.core.frozen import Frozen

# fvcore's names of the operators that consist of multiply-adds.
PRODUCTS = frozenset({"conv", "addmm", "mm", "bmm", "matmul", "linear", "einsum"})
ACTIVATIONS = "activations of "


class Trace(Frozen):
    """MACs and activations by path, of operators that ran in that module itself; what fvcore had no formula for."""

    macs: Mapping[str, int]
    activations: Mapping[str, int]
    other_flops: Mapping[str, int]
    unsupported: Mapping[str, int]


def trace(model: nn.Module, args: Sequence[Any]) -> Trace:
    """One trace of the model, on real tensors, under both of fvcore's analyses."""
    analysis = (
        JitModelAnalysis(model, tuple(args))
        .set_op_handle(**_handles())
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    with torch.no_grad():
        own = _own(analysis.by_module_and_operator())
    other: Counter[str] = Counter()
    for operators in own.values():
        other.update({op: n for op, n in operators.items() if op not in PRODUCTS and not op.startswith(ACTIVATIONS)})
    return Trace(
        macs={path: sum(n for op, n in ops.items() if op in PRODUCTS) for path, ops in own.items()},
        activations={path: sum(n for op, n in ops.items() if op.startswith(ACTIVATIONS)) for path, ops in own.items()},
        other_flops=dict(other),
        unsupported=dict(analysis.unsupported_ops()),
    )


def _handles() -> dict[str, Callable[[Any, Any], Counter[str]]]:
    """fvcore's two sets of formulas in one, so that one trace serves both."""
    kinds = {**FLOP_FORMULAS, **ACTIVATION_FORMULAS}
    return {kind: _both(kind, FLOP_FORMULAS.get(kind), ACTIVATION_FORMULAS.get(kind)) for kind in kinds}


def _both(kind: str, flops: Any, activations: Any) -> Callable[[Any, Any], Counter[str]]:
    op = kind.removeprefix("aten::")

    def handle(inputs: Any, outputs: Any) -> Counter[str]:
        counts: Counter[str] = Counter()
        for prefix, formula in (("", flops), (ACTIVATIONS, activations)):
            found = formula(inputs, outputs) if formula else {}
            named = found if isinstance(found, Mapping) else {op: found}
            counts.update({prefix + name: int(n) for name, n in named.items()})
        return counts

    return handle


def _own(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """fvcore sums each module over its descendants; here each keeps what ran in itself."""
    own = {path: Counter(operators) for path, operators in counts.items()}
    for path, operators in counts.items():
        if path:
            own[path.rpartition(".")[0]].subtract(operators)
    return own
