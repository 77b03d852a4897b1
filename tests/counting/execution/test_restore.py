"""A count leaves the model, the random generators and global settings as they were, even if it fails half-way."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import nullcontext, suppress
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.count_any_model import count_model
from analyzer.counting.execution.restore import restore_state

WAYS = pytest.mark.parametrize("on", ["auto", "meta", "real"])
MODES = pytest.mark.parametrize("train", [None, False, True])


class Mutates(nn.Module):
    """Changes everything that a forward pass can change, and may fail after it."""

    def __init__(self, *, lists: bool = True, fails: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5).eval()
        self.layer = nn.Linear(4, 4)
        self.log: dict[str, Any] = {"steps": [], "by name": {"a": {1, 2}}, "best": None}
        self.queue: deque[int] = deque([1], maxlen=3)
        self.ordered: OrderedDict[str, int] = OrderedDict(a=1, b=2)
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.tensors = [torch.zeros(2)] if lists else []
        self.fixed = (torch.zeros(2), [3])
        self.plain = torch.ones(3)
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("unsaved", torch.full((2,), float("nan")), persistent=False)
        self.fails = fails

    def forward(self, x: Tensor) -> Tensor:
        self.log["steps"].append(x)
        self.log["by name"]["a"].add(3)
        self.log["by name"]["b"] = set()
        self.log["best"] = x
        self.queue.append(7)
        self.ordered.move_to_end("a")
        self.counts["x"] += 1
        for tensor in [*self.tensors, self.plain, self.seen]:
            tensor += 1
        self.tensors.append(x)
        self.unsaved[0] = 5
        self.layer.register_forward_hook(lambda *args: None)
        self.layer.register_full_backward_hook(lambda *args: None)
        self.register_buffer("more", torch.zeros(1))
        self.layer.weight.requires_grad_(False)
        self.layer.eval()
        self.conv.train(not self.conv.training)
        self.extra = "new"
        del self.fixed
        random.random()
        np.random.rand()
        y = self.layer(self.drop(self.norm(self.conv(x))).mean((2, 3)) + torch.rand(4, device=x.device))
        if self.fails:
            raise RuntimeError("after all that")
        return y


def image() -> Tensor:
    return torch.zeros(2, 3, 6, 6)


def state(model: Mutates) -> Any:
    """All that a user can see of the model and of the generators, by value and by identity."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), "plain": model.plain}
    return {
        "tensors": {
            name: (id(t), t.data_ptr(), repr(t.detach().tolist()), t.requires_grad, t.device)
            for name, t in tensors.items()
        },
        "listed": [(id(t), t.tolist()) for t in model.tensors],
        "gradients": {name: p.grad for name, p in model.named_parameters()},
        "modes": [m.training for m in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "attributes": [list(vars(m)) for m in model.modules()],
        "containers": repr((model.log, model.queue, model.ordered, dict(model.counts), model.fixed)),
        "identities": [id(o) for o in (model.log, model.log["steps"], model.queue, model.ordered, model.tensors)],
        "unsaved": sorted(model._non_persistent_buffers_set),
        "generators": (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()),
    }


def settings() -> list[Any]:
    return [
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.enabled,
        torch.backends.mha.get_fastpath_enabled(),
        torch.compile,
        torch.autocast.__enter__,
        len(torch_module._global_forward_hooks),
        len(torch_module._global_forward_pre_hooks),
        len(torch_module._global_forward_hooks_always_called),
        torch._C._len_torch_dispatch_stack(),
        torch._C._len_torch_function_stack(),
    ]


class ChangesSettings(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch_module.register_module_forward_hook(lambda module, args, output: None)
        torch_module.register_module_forward_pre_hook(lambda module, args: None)
        return super().forward(x) + torch.ones(2)


@WAYS
@pytest.mark.parametrize("train", [None, False])
def test_settings_that_a_model_changes_are_restored(on, train):
    before = settings()
    for _ in range(2):  # The second count starts from the same settings.
        count = count_model(ChangesSettings(4, 2), [torch.zeros(3, 4)], train=train, on=on).count
        assert count.totals.macs == 3 * 4 * 2
        assert count.totals.bytes_written == 4 * (3 * 2) + 8 * 2 + 8 * (3 * 2)  # Linear in float32, ones and sum.
        assert settings() == before


@WAYS
@MODES
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("lists", [False, True])
def test_the_model_generators_and_settings_are_restored(on, train, fails, lists):
    """Tensors in lists stay on the CPU, so that on meta a model that reads them cannot run."""
    model = Mutates(lists=lists, fails=fails)
    before, settings_before = state(model), settings()
    try:
        count = count_model(model, [image()], train=train, on=on).count
    except AnalyzerError:
        assert fails or (lists and on == "meta")
    else:
        assert count.totals.macs == 2 * 4 * 4 * 4 * 27 + 2 * 4 * 4
    assert state(model) == before
    assert settings() == settings_before


def test_an_interrupted_block_restores_too():
    model = Mutates()
    before = state(model)
    with suppress(KeyboardInterrupt), restore_state(list(model.modules()), parameters=True):
        model(image())
        raise KeyboardInterrupt
    assert state(model) == before


@WAYS
def test_each_submodule_keeps_its_own_mode(on):
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Linear(4, 4).eval(), nn.Dropout().eval()).train())
    model[1][0].eval()
    before = [module.training for module in model.modules()]
    for train in (None, False, True):
        count_model(model, (torch.zeros(3, 4),), train=train, on=on)
        assert [module.training for module in model.modules()] == before


@WAYS
@MODES
def test_the_state_dict_and_versions_are_unchanged(on, train):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.LazyLinear(2))
    model(torch.rand(2, 3, 8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    versions = [parameter._version for parameter in model.parameters()]
    count_model(model, (torch.rand(2, 3, 8, 8),), train=train, on=on)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert [parameter._version for parameter in model.parameters()] == versions


@WAYS
def test_gradients_are_the_same_objects_with_the_same_values(on):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model(torch.ones(3, 4)).sum().backward()
    model[1].weight.grad = None
    before = [(p.grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    count_model(model, (torch.ones(3, 4),), train=True, on=on)
    for parameter, (gradient, value) in zip(model.parameters(), before, strict=True):
        assert parameter.grad is gradient
        assert gradient is None or torch.equal(gradient, value)


def test_training_continues_after_a_count():
    """Two steps with a count between them equal two steps without one."""
    results = []
    for counts in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(5, 4)).square().sum().backward()
            if counts:
                count_model(model, (torch.ones(5, 4),), train=True, on="real")
                count_model(model, (torch.ones(5, 4),), train=False)
            optimizer.step()
        results.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*results)


class Writes(nn.Module):
    """Writes to its own parameter, gives it other data, or replaces it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.how = how

    @torch.no_grad()
    def change(self) -> None:
        weight = self.layer.weight
        if self.how == "add":
            weight.add_(1)
        elif self.how == "part":
            weight.t()[1:].mul_(3)
        elif self.how == "foreach":
            torch._foreach_add_([weight, self.layer.bias], 1.0)
        elif self.how == "out":
            torch.add(weight, 1.0, out=weight)
        elif self.how == "data":
            weight.data = torch.ones_like(weight)
        elif self.how == "replace":
            self.layer.weight = nn.Parameter(weight * 2)
        elif self.how == "freeze":
            weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.change()
        return self.layer(x)


@pytest.mark.parametrize("train", [None, True])
@pytest.mark.parametrize("on", ["auto", "real"])
@pytest.mark.parametrize("how", ["add", "part", "foreach", "out", "data", "replace", "freeze"])
def test_parameters_that_the_model_writes_to_are_restored(how, on, train):
    model = Writes(how)
    before = [(p, p.data_ptr(), p.detach().clone(), p.requires_grad) for p in model.parameters()]
    assert count_model(model, (torch.zeros(3, 4),), train=train, on=on).count.totals.macs == 3 * 4 * 4
    for parameter, (same, address, value, requires_grad) in zip(model.parameters(), before, strict=True):
        assert parameter is same
        assert (parameter.data_ptr(), parameter.requires_grad, parameter.grad) == (address, requires_grad, None)
        assert torch.equal(parameter, value)


class Memory:
    """An object of the user's own that a module keeps."""

    def __init__(self) -> None:
        self.states: list[Any] = [1]
        self.steps = 0


class SlottedMemory:
    __slots__ = ("states", "steps")

    def __init__(self) -> None:
        self.states: list[Any] = [1]
        self.steps = 0


@dataclasses.dataclass
class Progress:
    memory: Memory = dataclasses.field(default_factory=Memory)
    seen: set[int] = dataclasses.field(default_factory=set)


class Pair(NamedTuple):
    first: list[int]
    second: int = 0


class Strict(dict[str, int]):
    """A dict that refuses what restoring needs."""

    def clear(self) -> None:
        raise TypeError("no")

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("no")


class Remembers(nn.Module):
    """Changes objects, numbers and containers that it holds."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.layer, self.steps, self.fails = nn.Linear(4, 4), 0, fails
        self.memory, self.slotted, self.progress = Memory(), SlottedMemory(), Progress()
        self.counter, self.strict = Counter(a=1), Strict(a=1)
        self.tuple, self.pair = ([1], {"a": 1}), Pair([1])
        self.loose = [nn.Dropout()]  # Not in the module tree.

    def forward(self, x: Tensor) -> Tensor:
        self.steps += 1
        for memory in (self.memory, self.slotted, self.progress.memory):
            memory.states.append(x)
            memory.steps += 1
        self.memory.extra = x
        self.progress.seen.add(7)
        self.progress = Progress()
        self.counter.update("ab")
        self.strict["b"] = 2
        self.tuple[0].append(2)
        self.tuple[1]["b"] = 2
        self.pair.first.append(2)
        self.loose[0].p = 0.1
        self.loose[0].eval()
        if self.fails:
            raise RuntimeError("after all that")
        return self.layer(x)

    def remembered(self) -> Any:
        memories = [(memory.states, memory.steps) for memory in (self.memory, self.slotted, self.progress.memory)]
        held = (self.counter, dict(self.strict), self.tuple, self.pair, self.progress.seen, list(vars(self.memory)))
        loose = self.loose[0].p, self.loose[0].training
        return repr((self.steps, memories, held, loose)), id(self.progress)


@WAYS
@pytest.mark.parametrize("fails", [False, True])
def test_objects_and_numbers_that_a_module_holds_are_restored(on, fails):
    model = Remembers(fails=fails)
    before = model.remembered()
    with pytest.raises(AnalyzerError) if fails else nullcontext():
        assert count_model(model, (torch.zeros(3, 4),), train=True, on=on).count.totals.macs == 3 * 4 * 4
    assert model.remembered() == before


class Buffered(nn.Module):
    """Half a GiB in a buffer that the pass does not change."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("table", torch.empty(2**29, dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_a_buffer_is_not_copied_for_a_count_on_meta():
    model = Buffered()
    with mock.patch.object(Tensor, "clone", side_effect=AssertionError("copied")):
        assert count_model(model, (torch.zeros(3, 4),), on="meta").count.totals.macs == 3 * 4 * 4
