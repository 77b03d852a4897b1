"""The dispatch counter: repeated calls, shared parameters, functions, unknown operators."""

from __future__ import annotations

import gc
import weakref
from math import prod

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.dispatch.counter import count_operators

DEVICES = pytest.mark.parametrize("device", ["cpu", "meta"])


class Twice(nn.Module):
    """One layer, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


@DEVICES
def test_a_second_call_has_its_own_row_without_parameters(device):
    first, second = count_operators(Twice().to(device), [torch.zeros(2, 6, device=device)]).rows
    assert (first.path, first.call, second.path, second.call) == ("layer", 1, "layer", 2)
    assert (first.weights, first.biases, second.params) == (6 * 6, 6, 0)
    assert first.macs == second.macs == 2 * 6 * 6
    assert first.bytes_read == second.bytes_read == 4 * (2 * 6 + 6 * 6 + 6)


@DEVICES
def test_a_count_keeps_no_reference_to_the_model(device):
    model = Twice().to(device)
    alive, enabled = weakref.ref(model), gc.isenabled()
    gc.disable()  # Only a reference cycle would need it.
    try:
        count_operators(model, [torch.zeros(2, 6, device=device)])
        del model
        assert alive() is None
    finally:
        if enabled:
            gc.enable()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
        self.up.weight = self.down.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


def test_tied_parameters_count_once():
    down, up = count_operators(Tied(), [torch.zeros(1, 5)]).rows
    assert (down.params, up.params) == (5 * 5, 0)
    assert down.macs == up.macs == 5 * 5


class Functions(nn.Module):
    """Functions only: rows have the calling module's path."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(torch.cat([x, F.relu(x)], 1), 2)


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Functions()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + 1.0


@DEVICES
def test_functions_have_the_calling_modules_path(device):
    count = count_operators(Wrapped(), [torch.zeros(1, 3, 4, 4, device=device)])
    assert [(row.path, row.op) for row in count.rows] == [
        ("inner", "relu"),
        ("inner", "cat"),
        ("inner", "max_pool2d"),
        ("", "add"),
    ]
    relu, cat, pool, add = count.rows
    assert relu.flops == prod((3, 4, 4))
    assert (cat.flops, cat.bytes_read, cat.bytes_written) == (0, 4 * 2 * 48, 4 * 96)
    assert pool.flops == 6 * 2 * 2 * (2 * 2)
    assert add.flops == 6 * 2 * 2
    assert count.unknown_ops == {}


@torch.library.custom_op("macscope_test::strange", mutates_args=())
def strange(x: Tensor) -> Tensor:
    """An operator without a formula."""
    return x.clone()


@strange.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Strange(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return strange(x) + strange(x)


@DEVICES
def test_an_unknown_operator_is_named(device):
    count = count_operators(Strange(), [torch.zeros(2, 3, device=device)])
    assert count.unknown_ops == {"macscope_test::strange": 2}
    assert [row.op for row in count.rows] == ["macscope_test::strange", "macscope_test::strange", "add"]


class Pointwise(nn.Module):
    """Operators that torch tags as pointwise need no formula; `where` has no FLOPs."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, torch.erfinv(x), torch.special.i0e(x).atanh())


@DEVICES
def test_pointwise_operators_count_one_flop_per_element(device):
    count = count_operators(Pointwise(), [torch.zeros(2, 3, device=device)])
    assert count.unknown_ops == {}
    assert {row.op: row.flops for row in count.rows} == {
        "gt": 0, "erfinv": 2 * 3, "special_i0e": 2 * 3, "atanh": 2 * 3, "where": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("module", "shape", "op"),
    [
        (nn.BatchNorm1d(4), (2, 4), "batch_norm"),
        (nn.BatchNorm2d(4), (2, 4, 3, 3), "batch_norm"),
        (nn.BatchNorm3d(4), (2, 4, 3, 3, 3), "batch_norm"),
        (nn.LSTM(4, 5), (3, 2, 4), "lstm"),
        (nn.GRU(4, 5), (3, 2, 4), "gru"),
        (nn.RNN(4, 5), (3, 2, 4), "rnn"),
        (nn.RMSNorm(4), (2, 4), "rms_norm"),
        (nn.LayerNorm(4), (2, 4), "layer_norm"),
        (nn.ReLU(), (2, 4), "relu"),
        (nn.ReLU6(), (2, 4), "relu6"),
        (nn.GELU(), (2, 4), "gelu"),
        (nn.SiLU(), (2, 4), "silu"),
        (nn.PReLU(), (2, 4), "prelu"),
        (nn.LeakyReLU(), (2, 4), "leaky_relu"),
        (nn.Conv1d(4, 5, 1), (2, 4, 3), "conv1d"),
        (nn.ConvTranspose2d(4, 5, 1), (2, 4, 3, 3), "conv_transpose2d"),
        (nn.AdaptiveAvgPool2d(1), (2, 4, 3, 3), "adaptive_avg_pool2d"),
        (nn.LocalResponseNorm(3), (2, 4, 3, 3), "local_response_norm"),
        (nn.Softmax(-1), (2, 4), "softmax"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_leaf_has_its_functional_name(module, shape, op):
    (row,) = count_operators(module, [torch.zeros(shape)]).rows
    assert row.op == op


def test_the_models_mode_is_kept():
    model = nn.Sequential(nn.Dropout(0.5))
    assert count_operators(model.train(), [torch.zeros(2, 3)]).rows[0].flops == 2 * 6
    assert count_operators(model.eval(), [torch.zeros(2, 3)]).rows[0].flops == 0
    assert not model.training


def test_a_count_leaves_no_hooks_changes_or_gradients():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_operators(model, [torch.ones(1, 3, 8, 8)])
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(value.grad is None for value in model.parameters())


def test_an_error_of_the_model_is_raised_without_a_warning():
    """Warnings are errors here. The next count is right."""
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Linear(7, 7))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count_operators(model, [torch.zeros(1, 3, 8, 8)])
    assert not torch.nn.modules.module._global_forward_hooks
    assert [row.path for row in count_operators(nn.Sequential(nn.ReLU()), [torch.zeros(3)]).rows] == ["0"]


@DEVICES
def test_a_number_to_the_power_of_a_tensor(device):
    """In `2 ** x` the first argument is a number."""

    class Power(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2.0**x

    (row,) = count_operators(Power(), [torch.zeros(2, 3, device=device)]).rows
    assert (row.op, row.flops, row.outputs) == ("pow", 2 * 3, ((2, 3),))


@DEVICES
def test_bytes_follow_the_types_that_run(device):
    """A concatenation of float16 and float32 is float32."""

    class Mixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x.float()], 1)

    rows = count_operators(Mixed(), [torch.zeros(2, 3, dtype=torch.float16, device=device)]).rows
    cat = next(row for row in rows if row.op == "cat")
    assert (cat.bytes_read, cat.bytes_written) == (2 * 6 + 4 * 6, 4 * 12)


@DEVICES
def test_a_transposed_convolution_spreads_every_input_element(device):
    model = nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False).to(device)
    (row,) = count_operators(model, [torch.zeros(1, 4, 5, 5, device=device)]).rows
    assert row.macs == (4 * 5 * 5) * 6 * 3 * 3
    assert row.outputs == ((1, 6, 11, 11),)
