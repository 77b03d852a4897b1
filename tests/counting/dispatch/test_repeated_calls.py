"""Calls of operators that a pass repeats take their result and work from the first one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer import count, register
from analyzer.counting.dispatch import repeated_calls
from analyzer.counting.dispatch.counter import count_operators
from analyzer.counting.dispatch.repeated_calls import key_of
from analyzer.counting.operators.call import Work
from analyzer.counting.operators.classify import lookup

META = torch.device("meta")
ADD = lookup(torch.ops.aten.add.Tensor)
X = torch.empty(2, 3, device=META)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    calls: dict = {}
    monkeypatch.setattr(repeated_calls, "_calls", calls)
    return calls


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((X,), (torch.empty(3, 2, device=META),)),
        ((X,), (torch.empty(3, 2, device=META).T,)),  # Equal sizes, other strides.
        ((X,), (X.half(),)),
        ((X, 1), (X, 1.0)),
        ((X, 1), (X, True)),
        ((X, 0.0), (X, None)),
        ((X, [1, 2]), (X, [2, 1])),
        ((X, [1, 2], 3), (X, [1, 2, 3])),
        ((X, [X, X]), (X, [X], X)),
        ((X, [X]), (X, (X,))),
        ((X, "same"), (X, "valid")),
        ((X, torch.float32), (X, torch.float64)),
    ],
)
def test_calls_with_other_operands_have_other_keys(one, other):
    assert key_of(ADD, one, {}) != key_of(ADD, other, {})
    assert key_of(ADD, one, {}) == key_of(ADD, one, {})
    assert key_of(ADD, (), {"a": one}) != key_of(ADD, (), {"a": other})
    assert key_of(ADD, (), {"a": one}) != key_of(ADD, (), {"b": one})
    assert key_of(ADD, one, {}) != key_of(lookup(torch.ops.aten.mul.Tensor), one, {})


@pytest.mark.parametrize(
    "operand",
    [
        torch.empty(2),
        torch.empty(2, 2, device=META, layout=torch.sparse_coo),
        torch.Generator(),
        object(),
        {1: 2},
        [object()],
    ],
    ids=["real", "sparse", "generator", "object", "dict", "list"],
)
def test_calls_with_anything_but_ordinary_meta_tensors_are_not_remembered(operand):
    assert key_of(ADD, (X, operand), {}) is None


class Block(nn.Module):
    """Convolutions, norms, changes in place, products, attention, a concatenation, strides and types of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.pool, self.drop, self.head = nn.MaxPool2d(2), nn.Dropout(0.5), nn.Linear(8, 8)

    def forward(self, x):
        outputs = []
        for _ in range(2):
            y = self.act(self.norm(self.conv(x)))
            y += x
            y = self.drop(y).mul_(2).add(1).add(1.0)
            tokens = y.flatten(2).transpose(1, 2)
            tokens = F.scaled_dot_product_attention(*[tokens.unsqueeze(1)] * 3).squeeze(1)
            tokens = F.gelu(self.head(tokens)).softmax(-1) @ tokens.mT
            outputs += [
                y,
                self.pool(y),
                tokens,
                tokens.double().sigmoid(),
                torch.cat([y, y], 1),
                y.transpose(2, 3).exp(),
            ]
        return outputs


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [False, True])
def test_a_repeated_call_returns_and_counts_the_same(layout, training, forgotten):
    model, x = Block().train(training).to(META), torch.empty(2, 8, 6, 6, device=META).to(memory_format=layout)
    described: list = []
    model.register_forward_hook(
        lambda module, args, output: described.append([(y.shape, y.stride(), y.dtype) for y in output])
    )
    first = count_operators(model, (x,))
    assert forgotten, "no call was remembered"
    second = count_operators(model, (x,))
    assert first.rows == second.rows
    assert described[0] == described[-1]
    assert described[0][:6] == described[0][6:]  # Both turns of the loop.
    if layout == torch.contiguous_format:  # For channels last, torch's own meta kernels give other strides.
        with torch.no_grad():
            outputs = Block().train(training)(torch.zeros(x.shape))
        assert described[0] == [(y.shape, y.stride(), y.dtype) for y in outputs]


def test_a_formula_registered_after_a_count_applies_to_the_next():
    class Net(nn.Module):
        def forward(self, x):
            return x.cosh()

    model, x = Net(), torch.empty(2, 3, device=META)
    assert count(model, (x,)).totals.macs == 0
    from analyzer.counting.operators import classify

    before = dict(classify._formulas)
    try:
        register("aten::cosh", lambda call: Work(7, 14))
        assert count(model, (x,)).totals.macs == 7
    finally:
        classify._formulas.clear()
        classify._formulas.update(before)
        classify._registered.discard("aten::cosh")
        classify._known.clear()


def test_an_operand_changed_in_place_is_returned_itself():
    class Net(nn.Module):
        def forward(self, x):
            y = x + 1
            return y, y.relu_(), (x + 1).relu_()

    seen = []
    model = Net()
    model.register_forward_hook(lambda module, args, output: seen.append(output[0] is output[1]))
    count_operators(model, (torch.empty(2, device=META),))
    assert seen == [True]


def test_the_number_of_remembered_calls_is_limited(monkeypatch, forgotten):
    monkeypatch.setattr(repeated_calls, "MAX_CALLS", 3)

    class Net(nn.Module):
        def forward(self, x):
            for size in range(1, 9):
                x = torch.relu(x[:size])
            return x

    count_operators(Net(), (torch.empty(9, device=META),))
    assert 0 < len(forgotten) <= 3
