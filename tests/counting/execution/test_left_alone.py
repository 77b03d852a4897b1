"""What a model holds deep inside, and what stands around it, is as it was after a count, also one that fails."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.restore import untouched
from analyzer.counting.execution.run import count_model

WAYS = pytest.mark.parametrize("on", ["auto", "meta", "real"])
MODES = pytest.mark.parametrize("train", [None, False, True])


class Keeps(nn.Module):
    """Writes to containers in containers, to tensors in them, to its hooks, to flags, and may fail after it did."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.log: dict[str, Any] = {"steps": [], "by name": {"a": {1, 2}}, "best": None}
        self.queue: deque[int] = deque([1], maxlen=3)
        self.ordered: OrderedDict[str, int] = OrderedDict(a=1, b=2)
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.tensors = [torch.zeros(2)]
        self.fixed = (torch.zeros(2), [3])
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
        self.tensors[0] += 1
        self.tensors.append(x)
        self.seen += 1
        self.unsaved[0] = 5
        self.layer.register_forward_hook(lambda *args: None)
        self.layer.register_full_backward_hook(lambda *args: None)
        self.register_buffer("more", torch.zeros(1))
        self.layer.weight.requires_grad_(False)
        self.layer.eval()
        del self.fixed
        y = self.layer(x)
        if self.fails:
            raise RuntimeError("after all that")
        return y


def seen(model: Keeps) -> Any:
    layer = model.layer
    return {
        "log": repr(model.log),
        "queue": (list(model.queue), model.queue.maxlen),
        "ordered": list(model.ordered.items()),
        "counts": dict(model.counts),
        "tensors": [tensor.tolist() for tensor in model.tensors],
        "fixed": repr(model.fixed),
        "buffers": {name: repr(buffer.tolist()) for name, buffer in model.named_buffers()},
        "unsaved": sorted(model._non_persistent_buffers_set),
        "hooks": (len(layer._forward_hooks), len(layer._backward_hooks), layer._is_full_backward_hook),
        "learns": [p.requires_grad for p in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "names": [list(vars(module)) for module in model.modules()],
        "objects": [id(value) for value in (model.log, model.log["steps"], model.queue, model.ordered, model.tensors)],
    }


@WAYS
@MODES
@pytest.mark.parametrize("fails", [False, True])
def test_containers_hooks_flags_and_buffers(on, train, fails):
    model = Keeps(fails)
    before = seen(model)
    try:
        count_model(model, (torch.zeros(3, 4),), train=train, on=on)
    except AnalyzerError as error:
        # A container's own tensors stay where they are, so that on meta the model cannot run.
        assert fails or on == "meta", error  # noqa: PT017 – either way it must be left as it was
    assert seen(model) == before


@WAYS
def test_modes_of_parts_that_differ(on):
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Linear(4, 4).eval(), nn.Dropout().eval()).train())
    model[1][0].eval()
    before = [module.training for module in model.modules()]
    for train in (None, False, True):
        count_model(model, (torch.zeros(3, 4),), train=train, on=on)
        assert [module.training for module in model.modules()] == before


@WAYS
@MODES
def test_a_state_dict_is_the_same_to_the_last_bit(on, train):
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


def test_training_goes_on_after_a_count():
    """Two steps with a count between them are two steps without one."""
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


def test_a_count_alone_moves_no_generator():
    results = []
    for counts in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5))
        source = torch.randn(5, 4)
        if counts:
            for on in ("meta", "real"):
                count_model(model, (source,), train=True, on=on)
        results.append(model(source))
    assert torch.equal(*results)


def test_the_guard_works_when_what_it_guards_is_interrupted():
    model = Keeps()
    before = seen(model)

    def interrupted() -> None:
        with untouched(model, parameters=True):
            model(torch.zeros(3, 4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen(model) == before


def surroundings() -> list[Any]:
    from torch.nn.modules import module as hooks

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
        len(hooks._global_forward_hooks),
        len(hooks._global_forward_pre_hooks),
        torch._C._len_torch_dispatch_stack(),
        torch._C._len_torch_function_stack(),
    ]


@WAYS
@MODES
@pytest.mark.parametrize("fails", [False, True])
def test_settings_around_the_model_stay(on, train, fails):
    before = surroundings()
    with suppress(AnalyzerError):
        count_model(Keeps(fails), (torch.zeros(3, 4),), train=train, on=on)
    assert surroundings() == before
