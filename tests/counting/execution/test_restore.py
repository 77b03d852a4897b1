"""A model lent for counting comes back exactly as it was, also when the count fails half-way."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from analyzer import count
from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.run import count_model


class Busy(nn.Module):
    """Changes everything about itself that a forward pass can change."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.seen: list[int] = []
        self.cache: dict[str, Any] = {"calls": 0}
        self.plain = torch.ones(3)
        self.fails = False
        self.drop.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(self.seen))
        self.cache["calls"] += 1
        self.cache["last"] = x
        self.extra = "new"
        self.plain += 1
        self.conv.train(not self.conv.training)
        random.random()
        np.random.rand()
        y = self.frozen(self.drop(self.norm(self.conv(x))).mean((2, 3)) + torch.rand(4, device=x.device))
        if self.fails:
            raise RuntimeError("half-way")
        return y


def state(model: nn.Module) -> Any:
    """All that a user can see of a model and of the generators, by value and by identity."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), "plain": model.plain}
    generators = (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())
    return {
        "tensors": {
            name: (id(t), t.data_ptr(), t.detach().tolist(), t.requires_grad, t.device) for name, t in tensors.items()
        },
        "grads": {name: p.grad for name, p in model.named_parameters()},
        "modes": [m.training for m in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "containers": (list(model.seen), dict(model.cache), id(model.seen), id(model.cache)),
        "generators": generators,
    }


GLOBALS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_forward_hooks_always_called")


@pytest.mark.parametrize("on", ["meta", "real", "auto"])
@pytest.mark.parametrize("train", [None, False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(on, train, fails):
    torch.manual_seed(0)
    model = Busy()
    model.fails = fails
    source = torch.zeros(2, 3, 6, 6)
    before, hooks = state(model), [len(getattr(torch_module, name)) for name in GLOBALS]
    if fails:
        with pytest.raises(AnalyzerError, match="half-way"):
            count_model(model, [source], train=train, on=on)
    else:
        assert count_model(model, [source], train=train, on=on).count.totals.macs == 2 * 4 * 4 * 4 * 27 + 2 * 4 * 4
    assert state(model) == before
    assert [len(getattr(torch_module, name)) for name in GLOBALS] == hooks
    assert source.grad is None


def test_gradients_that_were_there_stay():
    model = nn.Linear(3, 2)
    model.weight.grad = torch.full((2, 3), 7.0)
    kept = model.weight.grad
    count(model, [torch.zeros(1, 3)], train=True)
    assert model.weight.grad is kept
    assert kept.tolist() == [[7.0] * 3] * 2
    assert model.bias.grad is None


def test_train_none_keeps_the_models_own_mode():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    source = torch.zeros(5, 3)
    assert count(model, [source]).mode == "training"
    assert count(model, [source]).rows[1].flops == 2 * 5 * 2
    assert count(model.eval(), [source]).mode == "inference"
    assert count(model, [source]).rows[1].flops == 0
    assert count(model, [source], train=True).rows[1].flops == 2 * 5 * 2
    assert not model.training
    # A silent eval is the fault of many counters: a model in train mode counts in train mode, forward only.
    assert count(model.train(), [source]).totals.backward_macs is None


def test_frozen_parameters_skip_their_gradients():
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 7), nn.Linear(7, 2))
    model[1].requires_grad_(False)
    macs = [row.backward_macs for row in count(model, [torch.zeros(4, 3)], train=True).rows]
    # The first has data for input; the second hands a gradient on and keeps none; the third has both.
    assert macs == [4 * 3 * 5, 4 * 5 * 7, 2 * 4 * 7 * 2]


def test_a_compiled_model_counts_as_its_eager_self():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU())
    compiled = torch.compile(model)
    assert count(compiled, [torch.zeros(2, 3)]).rows == count(model, [torch.zeros(2, 3)]).rows


def test_shared_modules_count_each_call_and_their_parameters_once():
    shared = nn.Linear(3, 3)
    first, second = count(nn.Sequential(shared, nn.ReLU(), shared), [torch.zeros(2, 3)]).rows[::2]
    assert (first.path, first.call, first.params, first.macs) == ("0", 1, 3 * 3 + 3, 2 * 3 * 3)
    assert (second.path, second.call, second.params, second.macs) == ("0", 2, 0, 2 * 3 * 3)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 7)
        self.head = nn.Linear(7, 11, bias=False)
        self.head.weight = self.embed.weight
        self.unused = nn.Linear(2, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embed(ids))


@pytest.mark.parametrize("on", ["meta", "real"])
def test_tied_parameters_once_and_silent_ones_by_name(on):
    counted = count_model(Tied(), [torch.zeros(2, 5, dtype=torch.int64)], on=on).count
    assert [(row.path, row.op, row.params) for row in counted.rows] == [
        ("embed", "embedding", 11 * 7),
        ("head", "linear", 0),
        ("unused", "unused", 2 * 3 + 3),
    ]
