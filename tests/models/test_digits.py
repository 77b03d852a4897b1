"""GoogLeNet with its heads learns a few of scikit-learn's digits, enlarged to 64x64, in a few steps."""

from __future__ import annotations

from collections.abc import Iterator
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.models.spec_to_module import Outputs, auxiliary_loss, build

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

CLASSES = 10
SAMPLES, BATCH, STEPS = 16, 8, 38
# At Adam's default of 1e-3 this network, which has no batch norm, predicts uniformly for 25 steps and more.
LEARNING_RATE = 3e-4


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """16 digits of 64x64 pixels with mean 0 and standard deviation 1, and their classes."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn comes with the extra macscope[dev]")
    loaded = datasets.load_digits()
    small = torch.tensor(loaded.images[:SAMPLES], dtype=torch.float32)[:, None]
    images = F.interpolate(small, size=(64, 64), mode="bilinear")
    return (images - images.mean()) / images.std(), torch.tensor(loaded.target[:SAMPLES])


@pytest.fixture
def network() -> Iterator[nn.Module]:
    """One input channel, ten classes at every head, a fixed seed; the global random state is kept."""
    ten = dict.fromkeys(("linear.out", "aux1.linear.out", "aux2.linear.out"), CLASSES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield build("googlenet", train=True, overrides=ten, input=(1, 64, 64))


def losses(network: nn.Module, images: Tensor, target: Tensor) -> list[float]:
    """Cross entropy of each output over all samples, without dropout."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        values = [F.cross_entropy(logits, target).item() for logits in network(images.clone())]
    network.train()
    return values


def test_all_three_losses_fall(network, digits):
    images, target = digits
    before = losses(network, images, target)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for step in range(STEPS):
        batch = torch.arange(step * BATCH, (step + 1) * BATCH) % SAMPLES
        loss = auxiliary_loss(network(images[batch]), target[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = losses(network, images, target)
    assert all(late < early for early, late in zip(before, after, strict=True)), (before, after)
    # Below the loss of uniform predictions.
    assert all(late < log(CLASSES) - 0.1 for late in after), after
    assert after[0] < 1.5


def gradient(network: nn.Module, outputs: Tensor, target: Tensor, path: str) -> Tensor | None:
    """The gradient of one output's loss for a layer's weights; None if the output does not depend on them."""
    weight = network.get_submodule(path).weight
    loss = F.cross_entropy(outputs, target)
    (result,) = torch.autograd.grad(loss, [weight], retain_graph=True, allow_unused=True)
    return result


def test_early_layers_get_gradient_from_the_heads(network, digits):
    images, target = digits[0][:BATCH], digits[1][:BATCH]
    outputs = network(images.clone())
    assert isinstance(outputs, Outputs)
    early, between, late = "conv1.conv", "inception_4b.branch_3x3.conv", "inception_4e.branch_1x1.conv"
    for logits in outputs:
        weight_gradient = gradient(network, logits, target, early)
        assert weight_gradient is not None
        assert weight_gradient.abs().max() > 0
    # The first head reads 4a, the second 4d.
    assert gradient(network, outputs.aux1, target, between) is None
    assert gradient(network, outputs.aux2, target, between).abs().max() > 0
    assert gradient(network, outputs.aux2, target, late) is None
    assert gradient(network, outputs.logits, target, late).abs().max() > 0


def test_the_gradient_of_the_loss_is_the_weighted_sum_of_its_terms(network, digits):
    images, target = digits[0][:BATCH], digits[1][:BATCH]
    network.double()
    outputs = network(images.double())
    weight = network.get_submodule("conv1.conv").weight
    (whole,) = torch.autograd.grad(auxiliary_loss(outputs, target), weight, retain_graph=True)
    main, first, second = (gradient(network, logits, target, "conv1.conv") for logits in outputs)
    torch.testing.assert_close(whole, main + 0.3 * first + 0.3 * second, rtol=1e-9, atol=1e-15)
