"""Families of operators: `aten::addmm`, `linear` and `matmul` are the same kind of work. No torch."""

from __future__ import annotations

from functools import cache

# Families that have MACs in macscope's counts; all others have none.
PRODUCTS = ("convolutions", "matrix products", "attention", "recurrent cells")
MATRIX = frozenset("addmm mm bmm baddbmm matmul einsum bilinear mv dot inner addmv addbmm chain_matmul".split())
ACTIVATIONS = frozenset(
    "relu relu6 gelu silu elu selu celu glu prelu rrelu leaky_relu mish softplus softsign hardtanh hardswish "
    "hardsigmoid sigmoid tanh log_sigmoid threshold clamp clamp_min swish".split()
)
ELEMENTWISE = frozenset("add sub mul div pow exp log sqrt rsqrt neg abs square maximum minimum mean sum".split())
# The first match decides, so that upsample_bilinear2d is not taken for a linear layer.
NAME_PARTS = (
    ("upsample", "interpolation"),
    ("interpolat", "interpolation"),
    ("grid_sample", "interpolation"),
    ("norm", "norms"),
    ("pool", "pools"),
    ("softmax", "softmax"),
    ("embedding", "embeddings"),
    ("dropout", "dropout"),
    ("attention", "attention"),
    ("encoder_layer", "attention"),
    ("conv", "convolutions"),
    ("lstm", "recurrent cells"),
    ("gru", "recurrent cells"),
    ("rnn", "recurrent cells"),
    ("linear", "matrix products"),
)
BATCH = "batch"  # The row that a peer subtracts because it reports one sample of the batch.


@cache
def family(op: str) -> str:
    """The family of an operator or leaf layer, by torch's name for it; "other" if no rule matches.

    >>> family("aten::addmm"), family("conv_transpose2d"), family("relu_"), family("upsample_bilinear2d")
    ('matrix products', 'convolutions', 'activations', 'interpolation')
    """
    name = base_name(op)
    if name in MATRIX:
        return "matrix products"
    if name in ACTIVATIONS:
        return "activations"
    if name in ELEMENTWISE:
        return "elementwise"
    return next((name_family for part, name_family in NAME_PARTS if part in name), "other")


def base_name(op: str) -> str:
    """`aten::add_` and `aten.add` → `add`."""
    return op.rpartition("::")[2].removeprefix("aten.").strip("_")
