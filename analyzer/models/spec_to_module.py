"""Builds a network spec as an `nn.Module`; module paths equal the paths of `walk`.

Input widths come from the walk. The state dicts of `googlenet-torchvision` and `alexnet-torchvision` have torchvision's
names and shapes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.core.shapes import Shape
from analyzer.networks.googlenet import AUXILIARY_WEIGHT
from analyzer.networks.overrides import Overrides
from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
    Auxiliary,
    AvgPool,
    BatchNorm,
    Block,
    Branches,
    Conv,
    DepthwiseConv,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Network,
    Node,
    ReLU,
    Sequential,
)
from analyzer.networks.variants import variant
from analyzer.networks.walk import Step, join, walk

Value = TypeVar("Value")


class Outputs(NamedTuple):
    """The output of a network with auxiliary heads in training: three tensors of logits, (batch, classes) each."""

    logits: Tensor
    aux1: Tensor
    aux2: Tensor


def build(
    name: str, *, train: bool = False, overrides: Overrides | None = None, input: Shape | None = None
) -> nn.Module:
    """The built-in network on the CPU in float32, initialized after He et al. 2015 with zero biases.

    With `train` it has the auxiliary heads, is in train mode and returns `Outputs`; without, it is in eval mode and
    returns logits. `input` is (channels, height, width) and sets the width of fully connected layers.
    Raises AnalyzerError for an unknown name or an input that the network cannot take.

    >>> build("nin", input=(3, 64, 64))(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1000])
    """
    network = variant(name, overrides).network
    model = construct(network, walk(network, input, mode="training" if train else "inference"), train=train)
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return model


def construct(network: Network, steps: tuple[Step, ...], *, train: bool) -> nn.Module:
    """The network's module on the meta device: shapes without storage."""
    shapes = {step.path: step.inputs[0] for step in steps}
    return _Trunk(_children(network.trunk, "", shapes, train=train)).train(train)


def auxiliary_loss(outputs: Tensor | Outputs, target: Tensor) -> Tensor:
    """Cross entropy of the logits plus 0.3 times that of each auxiliary head.

    `target` is (batch,) of class numbers. Plain logits, of a network without heads, give their cross entropy.

    >>> logits, target = torch.zeros(2, 1000), torch.tensor([3, 7])
    >>> loss = auxiliary_loss(Outputs(logits, logits, logits), target)
    >>> torch.isclose(loss, (1 + 0.3 + 0.3) * auxiliary_loss(logits, target)).item()
    True
    """
    if isinstance(outputs, Tensor):
        return F.cross_entropy(outputs, target)
    heads = F.cross_entropy(outputs.aux1, target) + F.cross_entropy(outputs.aux2, target)
    return F.cross_entropy(outputs.logits, target) + AUXILIARY_WEIGHT * heads


def drop_auxiliary(state_dict: Mapping[str, Value]) -> dict[str, Value]:
    """The state dict without the auxiliary heads, for `build(name)` to load a file that was saved with them.

    >>> list(drop_auxiliary({"conv1.conv.weight": 1, "aux1.fc.weight": 2}))
    ['conv1.conv.weight']
    """
    return {key: value for key, value in state_dict.items() if not key.startswith(("aux1.", "aux2."))}


class _Container(nn.Module):
    """Named children in order."""

    def __init__(self, children: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


class Concatenate(_Container):
    """Runs its children on the same input and concatenates their outputs along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([child(x) for child in self.children()], 1)


class _Auxiliary(nn.Sequential):
    """An auxiliary head; `_Trunk` returns its output separately."""


class _Trunk(_Container):
    """Runs its children in order; auxiliary heads read the current activation and do not change it."""

    def forward(self, x: Tensor) -> Tensor | Outputs:
        heads = []
        for child in self.children():
            if isinstance(child, _Auxiliary):
                if self.training:  # In eval mode the heads do not run, as in torchvision.
                    heads.append(child(x))
            else:
                x = child(x)
        return Outputs(x, *heads) if heads else x


def _children(node: Sequential, path: str, shapes: Mapping[str, Shape], *, train: bool) -> OrderedDict[str, nn.Module]:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    previous: Node | None = None
    for name, child in node.children.items():
        if train or not isinstance(child, Auxiliary):
            modules[name] = _module(child, join(path, name), shapes, train=train)
        # In place only after a layer whose output nothing else reads and no gradient needs.
        after_layer = isinstance(previous, Conv | Linear | BatchNorm) and not isinstance(node, Branches)
        if isinstance(child, ReLU) and after_layer:
            modules[name] = nn.ReLU(inplace=True)
        previous = child
    return modules


def _module(node: Node, path: str, shapes: Mapping[str, Shape], *, train: bool) -> nn.Module:
    if isinstance(node, Block):
        node = node.expand()
    if isinstance(node, Sequential):
        kind = (
            Concatenate if isinstance(node, Branches) else _Auxiliary if isinstance(node, Auxiliary) else nn.Sequential
        )
        return kind(_children(node, path, shapes, train=train))
    source = shapes[path]
    return _layer(node.as_conv(source) if isinstance(node, DepthwiseConv) else node, source)


def _layer(layer: Layer, source: Shape) -> nn.Module:
    width = source[1]
    match layer:
        case Conv():
            return nn.Conv2d(
                width,
                layer.out,
                layer.kernel,
                layer.stride,
                layer.pad,
                groups=layer.groups,
                bias=layer.bias,
                device="meta",
            )
        case Linear():
            return nn.Linear(width, layer.out, layer.bias, device="meta")
        case BatchNorm():
            return nn.BatchNorm2d(width, eps=layer.eps, device="meta")
        case MaxPool():
            return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding, ceil_mode=layer.ceil)
        case AvgPool():
            return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding, ceil_mode=layer.ceil)
        case AdaptiveAvgPool():
            return nn.AdaptiveAvgPool2d(layer.size)
        case LRN():
            return nn.LocalResponseNorm(layer.size, layer.alpha, layer.beta, k=1.0)
        case ReLU():
            return nn.ReLU()
        case Dropout():
            return nn.Dropout(layer.p)
        case Flatten():
            return nn.Flatten()
    raise TypeError(f"no module for {type(layer).__name__}")
