"""Peak memory against torch's profiler on real tensors, byte for byte; an optimizer's state against torch.optim."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from analyzer.counting.dispatch import memory
from analyzer.models.builder import construct
from analyzer.networks import find
from analyzer.networks.walk import walk
from tests.counting.dispatch.profiled import Block, blocks, peak

FLOAT = 4
# What kernels allocate and do not hand out. A convolution: copies in oneDNN's own layouts, and unfolded windows: with
# them the peak of NIN's allocations is 4,636,672 bytes (a processor with AVX-512), where its tensors take 2,239,488. A
# batch norm: a scale and a shift a channel, and in its backward pass a buffer of its input's size.
WORKSPACE = (
    "aten::convolution",
    "aten::convolution_backward",
    "aten::native_batch_norm",
    "aten::native_batch_norm_backward",
)
# A number that an operator is given, such as what mean divides by, becomes a tensor of a double, then one of a float.
NUMBER = 8


def runs(name: str, size: int | None, *, train: bool):
    """A pass of a network of zeros on real tensors, and the same on meta, as `memory` measures it."""
    network = find(name)
    steps = walk(network, size and (3, size, size), mode="training" if train else "inference")
    model = construct(network, steps, train=train)._apply(lambda t: torch.zeros(t.shape, dtype=t.dtype))
    source = torch.zeros(steps[0].inputs[0])
    on_meta = construct(network, steps, train=train)

    def run() -> None:
        model.zero_grad(set_to_none=True)
        with torch.set_grad_enabled(train):
            outputs = model(source)
        if train:
            learned = [outputs] if isinstance(outputs, Tensor) else list(outputs)
            torch.autograd.backward(learned, [torch.ones_like(tensor) for tensor in learned])

    run()  # The first pass also pays for what a library keeps for good.
    return run, memory.measure(on_meta, [source.to("meta")], train=train)


def is_workspace(block: Block) -> bool:
    return any(operator in block.path for operator in WORKSPACE)


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "alexnet", "nin", "vgg16"])
def test_the_peak_is_the_profilers(name, train):
    # Smaller than usual where the usual size takes seconds; it agrees too.
    size = {"vgg16": 64, "nin": None, "alexnet": None}.get(name, 96)
    if name == "googlenet" and not train:
        size = None
    run, ours = runs(name, size, train=train)
    found = blocks(run)
    assert peak([block for block in found if block.handed_out]) == ours.activations
    kept_inside = [block for block in found if not block.handed_out]
    assert [block for block in kept_inside if block.size > NUMBER and not is_workspace(block)] == []


def test_watching_changes_nothing_but_numbers():
    """The same pass without marks: the same peak of all allocations, up to numbers that stand for a moment."""
    run, _ = runs("nin", 96, train=True)
    assert peak(blocks(run)) == pytest.approx(peak(blocks(run, marked=False)), abs=4 * NUMBER)


def test_what_a_kernel_keeps_inside_is_told_apart():
    """A convolution's output is handed out; what its kernel copies for itself is not, whatever that is here."""
    convolution = nn.Conv2d(16, 32, 3, padding=1)
    source = torch.zeros(1, 16, 20, 20)
    with torch.no_grad():
        found = blocks(lambda: convolution(source))
    assert [block.size for block in found if block.handed_out] == [FLOAT * 32 * 20 * 20]
    assert all(is_workspace(block) for block in found)


def test_the_number_a_mean_divides_by_is_told_apart():
    """These 12 bytes are all that GoogLeNet's peak once seemed to lack: a double, and the float made of it."""
    source = torch.zeros(1, 5, 7, 7)
    with torch.no_grad():
        found = blocks(lambda: source.mean([2, 3]))
    assert [block.size for block in found if block.handed_out] == [FLOAT * 5]
    assert sorted(block.size for block in found if not block.handed_out) in ([], [4, 8])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda parameters: torch.optim.SGD(parameters, lr=0.1)),
        ("momentum", lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)),
        ("adam", lambda parameters: torch.optim.Adam(parameters)),
    ],
)
def test_an_optimizers_state_is_what_it_allocates(name, make):
    def frozen_at_the_end() -> nn.Module:
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
        model[3].bias.requires_grad_(False)
        return model

    source = torch.zeros(2, 3, 8, 8)
    ours = memory.measure(frozen_at_the_end().to("meta"), [source.to("meta")], train=True)
    assert ours.gradients == FLOAT * (8 * 3 * 3 * 3 + 8 + 8 + 8 + 10 * 8 * 6 * 6)
    real = frozen_at_the_end()
    optimizer = make(real.parameters())
    real(source).sum().backward()
    optimizer.step()
    state = [entry for one in optimizer.state.values() for entry in one.items() if isinstance(entry[1], Tensor)]
    assert sum(tensor.nbytes for key, tensor in state if key != "step") == ours.optimizer(name)
    # Adam also counts its steps, in a float a parameter that learns: five of them here, twenty bytes.
    assert sum(tensor.nbytes for key, tensor in state if key == "step") == (5 * FLOAT if name == "adam" else 0)
