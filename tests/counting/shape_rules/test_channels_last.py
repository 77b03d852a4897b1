"""The channels-last layout on meta: strides as on the CPU, which decide what models run and what `view` accepts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer import AnalyzerError, count
from tests.counting.operators.calls import Calls


def image(*shape: int) -> Tensor:
    return torch.ones(shape).contiguous(memory_format=torch.channels_last)


PLANE, VOLUME = (2, 4, 8, 8), (2, 4, 4, 4, 4)
OPERATORS: dict[str, tuple[Any, Tensor]] = {
    "convolution": (lambda x: F.conv2d(x, torch.ones(6, 4, 3, 3)), image(*PLANE)),
    "its weight alone": (lambda x: F.conv2d(x, image(6, 4, 3, 3)), torch.ones(PLANE)),
    "a weight of one tap": (lambda x: F.conv2d(x, torch.ones(6, 1, 1, 4).permute(0, 3, 1, 2)), torch.ones(PLANE)),
    "one channel": (lambda x: F.conv2d(x, image(6, 1, 3, 3)), image(2, 1, 8, 8)),
    "by channel": (lambda x: F.conv2d(x, torch.ones(4, 1, 3, 3), groups=4), image(*PLANE)),
    "volume": (
        lambda x: F.conv3d(x, torch.ones(6, 4, 2, 2, 2)),
        torch.ones(VOLUME).contiguous(memory_format=torch.channels_last_3d),
    ),
    "transposed": (lambda x: F.conv_transpose2d(x, torch.ones(4, 6, 2, 2), stride=2), image(*PLANE)),
    "norm of groups": (lambda x: F.group_norm(x, 2), image(*PLANE)),
    "reflection": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), image(*PLANE)),
    "replication": (lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate"), image(*PLANE)),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x.repeat(1, 2, 1, 1), 2), image(*PLANE)),
    "roll": (lambda x: x.roll(1, 2), image(*PLANE)),
    "channel shuffle": (lambda x: F.channel_shuffle(x, 2), image(*PLANE)),
    "then a pool": (lambda x: F.max_pool2d(F.conv2d(x, torch.ones(6, 4, 3, 3)).relu(), 2), image(*PLANE)),
}  # fmt: skip


def steps(tensor: Tensor) -> list[int]:
    """Strides of axes with several elements; others have no meaning."""
    return [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


@pytest.mark.parametrize("name", OPERATORS)
def test_strides_are_those_of_the_cpu(name):
    function, source = OPERATORS[name]
    expected = steps(function(source))

    def compared(x: Tensor) -> Tensor:
        result: Tensor = function(x)
        assert steps(result) == expected
        return result

    assert not any(note.startswith("counted on real") for note in count(Calls(compared), (source,)).notes)


class Branches(nn.Module):
    """A second convolution if the first gives a channels-last result."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.conv(y) if y.stride(1) == 1 else y


@pytest.mark.parametrize(("source", "convolutions"), [(image(*PLANE), 2), (torch.ones(PLANE), 1)])
def test_a_path_by_strides_is_that_of_the_cpu(source, convolutions):
    assert count(Branches(), (source,)).totals.macs == convolutions * 2 * 8 * 8 * 4 * 4 * 3 * 3


def test_a_view_that_torch_refuses_is_refused():
    model = nn.Sequential(nn.Conv2d(4, 6, 3), Calls(lambda x: x.view(2, -1)))
    assert count(model, (torch.ones(PLANE),)).totals.macs == 2 * 6 * 6 * 6 * 4 * 3 * 3
    with pytest.raises(AnalyzerError, match="view"):
        count(model, (image(*PLANE),))
