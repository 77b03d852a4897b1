"""fvcore as a third counter: traces the model and counts with fvcore's formulas, by module path.

fvcore counts a multiply-add as 1, so its convolutions and products are our MACs. It adds norms and adaptive pools to
the same sum; here they have no MACs, so they are listed separately. fvcore has no formula for other pools, activation
functions such as ReLU, LRN or dropout. It reports no bytes and cannot run on meta tensors.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from analyzer.core.frozen import Frozen

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore's last release scripts a function on import, which torch deprecates.
    from fvcore.nn.activation_count import _DEFAULT_SUPPORTED_OPS as ACTIVATION_FORMULAS
    from fvcore.nn.flop_count import _DEFAULT_SUPPORTED_OPS as FLOP_FORMULAS
    from fvcore.nn.jit_analysis import JitModelAnalysis

# fvcore's names of operators whose figure is MACs.
PRODUCTS = frozenset({"conv", "addmm", "mm", "bmm", "matmul", "linear", "einsum"})
ACTIVATIONS = "activations of "


class FvcoreCount(Frozen):
    """MACs and activations by path, without those of child modules; fvcore's other FLOPs by operator; calls by
    operator without a formula."""

    macs: Mapping[str, int]
    activations: Mapping[str, int]
    other_flops: Mapping[str, int]
    unsupported: Mapping[str, int]


def count_with_fvcore(model: nn.Module, args: Sequence[Any]) -> FvcoreCount:
    """One trace of the model, on real tensors, under both of fvcore's analyses."""
    analysis = (
        JitModelAnalysis(model, tuple(args))
        .set_op_handle(**_formulas())
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    with torch.no_grad():
        counts = without_children(analysis.by_module_and_operator())
    other: Counter[str] = Counter()
    for operators in counts.values():
        other.update({op: n for op, n in operators.items() if op not in PRODUCTS and not op.startswith(ACTIVATIONS)})
    return FvcoreCount(
        macs={path: sum(n for op, n in ops.items() if op in PRODUCTS) for path, ops in counts.items()},
        activations={
            path: sum(n for op, n in ops.items() if op.startswith(ACTIVATIONS)) for path, ops in counts.items()
        },
        other_flops=dict(other),
        unsupported=dict(analysis.unsupported_ops()),
    )


def _formulas() -> dict[str, Callable[[Any, Any], Counter[str]]]:
    """fvcore's two sets of formulas in one, so that one trace serves both."""
    kinds = {**FLOP_FORMULAS, **ACTIVATION_FORMULAS}
    return {kind: _both(kind, FLOP_FORMULAS.get(kind), ACTIVATION_FORMULAS.get(kind)) for kind in kinds}


def _both(kind: str, flops: Any, activations: Any) -> Callable[[Any, Any], Counter[str]]:
    op = kind.removeprefix("aten::")

    def formula(inputs: Any, outputs: Any) -> Counter[str]:
        counts: Counter[str] = Counter()
        for prefix, part in (("", flops), (ACTIVATIONS, activations)):
            figure = part(inputs, outputs) if part else {}
            by_name = figure if isinstance(figure, Mapping) else {op: figure}
            counts.update({prefix + name: int(n) for name, n in by_name.items()})
        return counts

    return formula


def without_children(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """fvcore's figure of a module includes its children's; here they are subtracted."""
    result = {path: Counter(operators) for path, operators in counts.items()}
    for path, operators in counts.items():
        if path:
            result[path.rpartition(".")[0]].subtract(operators)
    return result
