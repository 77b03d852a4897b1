"""Every family of operators, forward and backward, against arithmetic; meta and real tensors give equal rows.

Sizes are small primes and their products, so that no two factors can be confused. Inputs from `learns` require
gradients, those from `data` do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.execution.count_any_model import count_model
from analyzer.records.rows import Count
from tests.torch_releases import needs_torch


def data(*shape: int) -> Tensor:
    return torch.zeros(shape)


def learns(*shape: int) -> Tensor:
    return torch.zeros(shape, requires_grad=True)


class Functional(nn.Module):
    """A function of parameters and inputs."""

    def __init__(self, function: Callable[..., Any], *weights: Tensor) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(weights)

    def forward(self, *args: Tensor) -> Any:
        return self.function(*self.weights, *args)


def sums(count: Count) -> tuple[int, int | None]:
    return count.totals.macs, count.totals.backward_macs


def twice(macs: int, *, gradients: int = 2) -> tuple[int, int]:
    """A product forward and backward: the gradient of each side costs as much as the forward product."""
    return macs, gradients * macs


# name: module, inputs, forward MACs, backward MACs
CASES: dict[str, tuple[nn.Module, tuple[Any, ...], int, int]] = {
    # Output elements times kernel times channels a group; the weight's gradient costs the same, the input's too.
    "conv1d": (nn.Conv1d(3, 5, 7), (data(2, 3, 17),), *twice(2 * 5 * 11 * 7 * 3, gradients=1)),
    "conv2d of a learned input": (nn.Conv2d(3, 5, 3), (learns(2, 3, 9, 7),), *twice(2 * 5 * 7 * 5 * 9 * 3)),
    "conv3d": (nn.Conv3d(2, 3, 3), (data(1, 2, 5, 6, 7),), *twice(3 * 3 * 4 * 5 * 27 * 2, gradients=1)),
    "conv2d in groups": (nn.Conv2d(4, 6, 3, groups=2), (learns(1, 4, 9, 9),), *twice(6 * 7 * 7 * 9 * 2)),
    "conv2d by channel": (nn.Conv2d(4, 8, 3, groups=4), (learns(1, 4, 9, 9),), *twice(8 * 7 * 7 * 9 * 1)),
    "conv2d dilated, strided": (
        nn.Conv2d(3, 5, 3, stride=2, dilation=2),
        (data(1, 3, 11, 11),),
        *twice(5 * 4 * 4 * 9 * 3, gradients=1),
    ),
    "conv1d of the same size": (
        nn.Conv1d(3, 5, 3, padding="same"),
        (data(2, 3, 11),),
        *twice(2 * 5 * 11 * 3 * 3, gradients=1),
    ),
    # Transposed: every input element is multiplied into one filter.
    "conv_transpose1d": (nn.ConvTranspose1d(3, 5, 4, 2), (data(2, 3, 7),), *twice(2 * 3 * 7 * 4 * 5, gradients=1)),
    "conv_transpose2d in groups": (
        nn.ConvTranspose2d(4, 6, 3, 2, groups=2),
        (learns(1, 4, 5, 5),),
        *twice(4 * 5 * 5 * 9 * 3),
    ),
    "conv_transpose3d": (nn.ConvTranspose3d(2, 3, 2), (data(1, 2, 3, 4, 5),), *twice(2 * 60 * 8 * 3, gradients=1)),
    "F.conv2d": (
        Functional(lambda w, x: F.conv2d(x, w), data(5, 3, 3, 3)),
        (data(1, 3, 9, 7),),
        *twice(5 * 7 * 5 * 27, gradients=1),
    ),
    "linear": (nn.Linear(7, 3), (data(2, 5, 7),), *twice(2 * 5 * 3 * 7, gradients=1)),
    "linear without bias of a learned input": (nn.Linear(7, 3, bias=False), (learns(5, 7),), *twice(5 * 3 * 7)),
    "mm": (Functional(torch.mm, learns(5, 7)), (data(7, 3),), *twice(5 * 7 * 3, gradients=1)),
    "bmm": (Functional(torch.bmm), (learns(2, 5, 7), learns(2, 7, 3)), *twice(2 * 5 * 7 * 3)),
    "addmm": (Functional(torch.addmm), (learns(3), learns(5, 7), learns(7, 3)), *twice(5 * 7 * 3)),
    "baddbmm": (
        Functional(torch.baddbmm),
        (data(2, 5, 3), learns(2, 5, 7), learns(2, 7, 3)),
        *twice(2 * 5 * 7 * 3),
    ),
    "addbmm": (
        Functional(torch.addbmm),
        (data(5, 3), data(2, 5, 7), learns(2, 7, 3)),
        *twice(2 * 5 * 7 * 3, gradients=1),
    ),
    "matmul of vectors": (Functional(torch.matmul), (data(7), data(7)), 7, 0),
    "matmul broadcast": (
        Functional(torch.matmul),
        (learns(2, 1, 5, 7), learns(3, 7, 11)),
        *twice(2 * 3 * 5 * 11 * 7),
    ),
    "einsum": (
        Functional(lambda a, b: torch.einsum("bij,bkj->bik", a, b)),
        (learns(2, 5, 7), learns(2, 3, 7)),
        *twice(2 * 5 * 3 * 7),
    ),
    "tensordot": (
        Functional(lambda a, b: torch.tensordot(a, b, 2)),
        (data(2, 5, 7), learns(5, 7, 3)),
        *twice(2 * 3 * 5 * 7, gradients=1),
    ),
    # x1 · W with the weights, then with x2. Backward, two operands first, then the third: the gradient with W and with
    # x2; x1 with the gradient, which has no summed axis, and with x2; x1 with W and with the gradient.
    "bilinear": (
        nn.Bilinear(5, 7, 3, bias=False),
        (learns(2, 5), learns(2, 7)),
        2 * 3 * 5 * 7 + 2 * 3 * 7,
        (2 * 3 * 5 * 7 + 2 * 5 * 7) + 2 * 3 * 5 * 7 + (2 * 3 * 5 * 7 + 2 * 3 * 7),
    ),
    "cdist": (Functional(torch.cdist), (learns(2, 5, 7), learns(2, 3, 7)), *twice(2 * 5 * 3 * 7)),
    # Scores and values; four products backward.
    "attention": (
        Functional(F.scaled_dot_product_attention),
        (learns(2, 3, 5, 7), learns(2, 3, 11, 7), learns(2, 3, 11, 7)),
        2 * 3 * 5 * 11 * (7 + 7),
        2 * 2 * 3 * 5 * 11 * (7 + 7),
    ),
    "causal attention, whole": (
        Functional(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
        (learns(2, 3, 5, 7), learns(2, 3, 5, 7), learns(2, 3, 5, 7)),
        2 * 3 * 5 * 5 * (7 + 7),
        2 * 2 * 3 * 5 * 5 * (7 + 7),
    ),
    # Three projections of the input in one, scores and values, one projection out; the input itself is data.
    "multi-head attention": (
        nn.MultiheadAttention(12, 3, batch_first=True),
        (ONE := data(2, 5, 12), ONE, ONE),
        2 * 5 * 12 * 36 + 2 * 5 * 5 * (12 + 12) + 2 * 5 * 12 * 12,
        2 * 5 * 12 * 36 + 2 * (2 * 5 * 5 * (12 + 12) + 2 * 5 * 12 * 12),
    ),
    "encoder layer": (
        nn.TransformerEncoderLayer(12, 3, 20, batch_first=True),
        (data(2, 5, 12),),
        2 * 5 * 12 * 36 + 2 * 5 * 5 * (12 + 12) + 2 * 5 * 12 * 12 + 2 * (2 * 5 * 12 * 20),
        2 * 5 * 12 * 36 + 2 * (2 * 5 * 5 * (12 + 12) + 2 * 5 * 12 * 12 + 2 * (2 * 5 * 12 * 20)),
    ),
    # A matrix is applied once a step and sample. Backward: the weights' gradients, and that of the state but at step 1.
    "lstm": (
        nn.LSTM(7, 3, batch_first=True),
        (data(2, 5, 7),),
        2 * 5 * 4 * 3 * (7 + 3),
        2 * 5 * 4 * 3 * (7 + 3) + 2 * 4 * 4 * 3 * 3,
    ),
    "gru": (nn.GRU(7, 3), (data(5, 2, 7),), 2 * 5 * 3 * 3 * (7 + 3), 2 * 5 * 3 * 3 * (7 + 3) + 2 * 4 * 3 * 3 * 3),
    "rnn": (nn.RNN(7, 3), (data(5, 2, 7),), 2 * 5 * 3 * (7 + 3), 2 * 5 * 3 * (7 + 3) + 2 * 4 * 3 * 3),
    "lstm cell": (nn.LSTMCell(7, 3), (data(2, 7),), 2 * 4 * 3 * (7 + 3), 2 * 4 * 3 * (7 + 3)),
}


def count_on_both(module: nn.Module, inputs: Any, *, train: bool | None = None) -> Count:
    """The count, with equal rows on meta and on real tensors."""
    meta, real = (count_model(module, inputs, train=train, on=on).count for on in ("meta", "real"))
    assert meta.rows == real.rows
    assert meta.unknown_ops == real.unknown_ops == {}
    return meta


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("train", [False, True])
def test_forward_and_backward(name, train):
    module, inputs, forward, backward = CASES[name]
    if train and not backward:
        pytest.skip("nothing in this case requires gradients")
    count = count_on_both(module, inputs, train=train)
    assert sums(count) == (forward, backward if train else None)
    assert count.totals.params == sum(p.numel() for p in module.parameters())


FORWARD: dict[str, tuple[nn.Module, tuple[Any, ...], int]] = {
    "mv": (Functional(torch.mv), (data(5, 7), data(7)), 5 * 7),
    "dot": (Functional(torch.dot), (data(7), data(7)), 7),
    "bilinear": (nn.Bilinear(5, 7, 3), (data(2, 5), data(2, 7)), 2 * 3 * (5 * 7 + 7)),
    "cdist": (Functional(torch.cdist), (data(2, 5, 7), data(2, 3, 7)), 2 * 5 * 3 * 7),
    "cdist of another norm": (Functional(lambda a, b: torch.cdist(a, b, p=1.0)), (data(2, 5, 7), data(2, 3, 7)), 0),
    "embedding": (nn.Embedding(11, 7), (torch.zeros(2, 5, dtype=torch.int64),), 0),
    "embedding bag": (nn.EmbeddingBag(11, 7), (torch.zeros(2, 5, dtype=torch.int64),), 0),
    "weighted embedding bag": (
        nn.EmbeddingBag(11, 7, mode="sum"),
        (torch.zeros(2, 5, dtype=torch.int64), None, data(2, 5)),
        2 * 5 * 7,
    ),
    "grouped-query attention": (
        Functional(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)),
        (data(2, 6, 5, 7), data(2, 3, 11, 7), data(2, 3, 11, 7)),
        2 * 6 * 5 * 11 * (7 + 7),
    ),
    # Per layer and direction: input and hidden matrix; the second layer reads both directions.
    "lstm of two layers, both ways": (
        nn.LSTM(7, 3, num_layers=2, bidirectional=True),
        (data(5, 2, 7),),
        5 * 2 * 2 * (4 * 3 * (7 + 3) + 4 * 3 * (2 * 3 + 3)),
    ),
    "lstm with a projection": (nn.LSTM(7, 3, proj_size=2), (data(5, 2, 7),), 5 * 2 * (4 * 3 * (7 + 2) + 3 * 2)),
    "int8 product": (
        Functional(torch._int_mm),
        (torch.zeros(32, 16, dtype=torch.int8), torch.zeros(16, 24, dtype=torch.int8)),
        32 * 16 * 24,
    ),
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward_only(name):
    module, inputs, macs = FORWARD[name]
    assert sums(count_on_both(module, inputs)) == (macs, None)


FLOPS: dict[str, tuple[nn.Module, tuple[Any, ...], int]] = {
    "linear and its bias": (nn.Linear(7, 3), (data(2, 7),), 2 * 2 * 3 * 7 + 2 * 3),
    "batch norm in training": (nn.BatchNorm2d(3), (data(2, 3, 5, 7),), 6 * 2 * 3 * 5 * 7),
    "batch norm at inference": (nn.BatchNorm2d(3).eval(), (data(2, 3, 5, 7),), 2 * 2 * 3 * 5 * 7),
    "layer norm": (nn.LayerNorm(7), (data(2, 5, 7),), 6 * 2 * 5 * 7),
    "group norm": (nn.GroupNorm(2, 4), (data(2, 4, 5),), 6 * 2 * 4 * 5),
    "instance norm": (nn.InstanceNorm1d(3), (data(2, 3, 5),), 6 * 2 * 3 * 5),
    "rms norm": (nn.RMSNorm(7), (data(2, 5, 7),), 6 * 2 * 5 * 7),
    "local response norm": (nn.LocalResponseNorm(5), (data(2, 7, 3, 3),), (2 * 5 + 3) * 2 * 7 * 3 * 3),
    "softmax": (nn.Softmax(-1), (data(2, 5),), 5 * 2 * 5),
    "log softmax": (nn.LogSoftmax(-1), (data(2, 5),), 5 * 2 * 5),
    "gelu": (nn.GELU(), (data(2, 5),), 2 * 5),
    "hard swish": (nn.Hardswish(), (data(2, 5),), 2 * 5),
    "dropout in training": (nn.Dropout(), (data(2, 5),), 2 * 2 * 5),
    "dropout at inference": (nn.Dropout().eval(), (data(2, 5),), 0),
    "max_pool1d": (nn.MaxPool1d(3, 2), (data(2, 3, 9),), 2 * 3 * 4 * 3),
    "max_pool2d": (nn.MaxPool2d(3, 2), (data(2, 3, 9, 9),), 2 * 3 * 4 * 4 * 9),
    "max_pool3d": (nn.MaxPool3d(2), (data(1, 3, 4, 4, 6),), 3 * 2 * 2 * 3 * 8),
    "avg_pool2d": (nn.AvgPool2d((3, 2)), (data(2, 3, 9, 8),), 2 * 3 * 3 * 4 * 6),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d(2), (data(2, 3, 5, 7),), 2 * 3 * 5 * 7),
    "global pooling": (nn.AdaptiveAvgPool2d(1), (data(2, 3, 5, 7),), 2 * 3 * 5 * 7),
    "bilinear upsampling": (nn.Upsample(scale_factor=2, mode="bilinear"), (data(2, 3, 5, 7),), 7 * 2 * 3 * 10 * 14),
    "nearest upsampling": (nn.Upsample(scale_factor=2), (data(2, 3, 5, 7),), 0),
    "sum": (Functional(torch.sum), (data(2, 5),), 2 * 5),
    "variance": (Functional(torch.var), (data(2, 5),), 2 * 2 * 5),
    "addition": (Functional(torch.add), (data(2, 5), data(2, 5)), 2 * 5),
    "a comparison has no FLOPs": (Functional(torch.lt), (data(2, 5), data(2, 5)), 0),
    "integer arithmetic has no FLOPs": (Functional(lambda x: x.long() + 1), (data(2, 5),), 0),
}


@pytest.mark.parametrize("name", FLOPS)
def test_flops_follow_the_documented_formulas(name):
    module, inputs, flops = FLOPS[name]
    assert count_on_both(module, inputs).totals.flops == flops


def test_packed_sequences_count_their_steps():
    """Lengths 5, 3 and 2: ten steps, no padding."""
    packed = nn.utils.rnn.pack_padded_sequence(data(5, 3, 7), torch.tensor([5, 3, 2]))
    assert count_on_both(nn.LSTM(7, 3), [packed]).totals.macs == (5 + 3 + 2) * 4 * 3 * (7 + 3)


def test_fused_transformer_operators_called_directly():
    layer = nn.TransformerEncoderLayer(12, 3, 20, batch_first=True).eval()
    attention = layer.self_attn
    weights = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
    macs = 2 * 5 * 12 * 36 + 2 * 5 * 5 * (12 + 12) + 2 * 5 * 12 * 12
    fused = Functional(lambda x: torch._native_multi_head_attention(x, x, x, 12, 3, *weights))
    assert count_model(fused, (data(2, 5, 12),), on="real").count.totals.macs == macs
    norms = (layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias)
    feed = (layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias)
    whole = Functional(
        lambda x: torch._transformer_encoder_layer_fwd(x, 12, 3, *weights, False, False, 1e-5, *norms, *feed)
    )
    assert count_model(whole, (data(2, 5, 12),), on="real").count.totals.macs == macs + 2 * (2 * 5 * 12 * 20)


def test_sparse_products_are_counted_as_if_dense_and_marked():
    sparse = torch.eye(5).to_sparse()
    count = count_model(Functional(lambda x: torch.sparse.mm(sparse, x)), (data(5, 3),), on="real").count
    assert count.totals.macs == 5 * 5 * 3
    assert count.as_if_dense == {"aten::_sparse_mm": 1}
    assert count.rows[0].bytes_read == 5 * (4 + 2 * 8) + 5 * 3 * 4  # Five values with their places, and the dense side.


@needs_torch(2, 13, "operators of later releases are named too")
def test_every_named_operator_exists_in_torch():
    """A misspelled name would be a formula that never runs."""
    from analyzer.counting.operators.classify import _formulas
    from analyzer.counting.operators.free_and_view_operators import FREE, NOT_ARITHMETIC, VIEWS

    names = {*_formulas, *VIEWS, *FREE, *NOT_ARITHMETIC}
    aten = [name.removeprefix("aten::") for name in names if name.startswith("aten::")]
    assert sorted(name for name in aten if not hasattr(torch.ops.aten, name)) == []
