"""The built network learns: GoogLeNet with its heads on scikit-learn's digits, enlarged to 64x64, for a few steps."""

from __future__ import annotations

from collections.abc import Iterator
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.models.builder import Outputs, auxiliary_loss, build

CLASSES = 10
SAMPLES, BATCH, STEPS = 64, 16, 56
# Adam at torch's default 1e-3 throws this network, which has no batch norm, to uniform answers for 25 steps and more.
LEARNING_RATE = 3e-4


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """64 digits of 64x64 pixels with mean 0 and deviation 1, and what they show."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn comes with the extra macscope[dev]")
    loaded = datasets.load_digits()
    small = torch.tensor(loaded.images[:SAMPLES], dtype=torch.float32)[:, None]
    images = F.interpolate(small, size=(64, 64), mode="bilinear")
    return (images - images.mean()) / images.std(), torch.tensor(loaded.target[:SAMPLES])


@pytest.fixture
def network() -> Iterator[nn.Module]:
    """One input channel, ten classes at every exit; the same on every run, and the process's own seed left alone."""
    ten = dict.fromkeys(("linear.out", "aux1.linear.out", "aux2.linear.out"), CLASSES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield build("googlenet", train=True, overrides=ten, input=(1, 64, 64))


def losses(network: nn.Module, images: Tensor, target: Tensor) -> list[float]:
    """Each exit's cross entropy over all samples, dropout aside."""
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.eval()
    with torch.no_grad():
        found = [F.cross_entropy(logits, target).item() for logits in network(images.clone())]
    network.train()
    return found


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
    # Below what uniform answers cost, so each exit has learned digits and not merely to be cautious.
    assert all(late < log(CLASSES) - 0.1 for late in after), after
    assert after[0] < 1.5


def gradient(network: nn.Module, outputs: Tensor, target: Tensor, path: str) -> Tensor | None:
    """Of one exit's loss with respect to a layer's weights; None where the exit does not hang on them."""
    weight = network.get_submodule(path).weight
    loss = F.cross_entropy(outputs, target)
    (found,) = torch.autograd.grad(loss, [weight], retain_graph=True, allow_unused=True)
    return found


def test_early_layers_get_gradient_from_the_heads(network, digits):
    images, target = digits[0][:BATCH], digits[1][:BATCH]
    outputs = network(images.clone())
    assert isinstance(outputs, Outputs)
    early, between, late = "conv1.conv", "inception_4b.branch_3x3.conv", "inception_4e.branch_1x1.conv"
    for exit_ in outputs:
        found = gradient(network, exit_, target, early)
        assert found is not None
        assert found.abs().max() > 0
    # The first head hangs on 4a, the second on 4d; neither sees what comes after.
    assert gradient(network, outputs.aux1, target, between) is None
    assert gradient(network, outputs.aux2, target, between).abs().max() > 0
    assert gradient(network, outputs.aux2, target, late) is None
    assert gradient(network, outputs.logits, target, late).abs().max() > 0


def test_the_whole_losss_gradient_is_the_sum_of_1_and_0_3_and_0_3(network, digits):
    images, target = digits[0][:BATCH], digits[1][:BATCH]
    network.double()
    outputs = network(images.double())
    weight = network.get_submodule("conv1.conv").weight
    (whole,) = torch.autograd.grad(auxiliary_loss(outputs, target), weight, retain_graph=True)
    main, first, second = (gradient(network, logits, target, "conv1.conv") for logits in outputs)
    torch.testing.assert_close(whole, main + 0.3 * first + 0.3 * second, rtol=1e-9, atol=1e-15)
