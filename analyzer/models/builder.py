"""A network's table as an `nn.Module` whose module paths are the walk's paths.

Every width comes from the walk. Weights load from and save to an ordinary state dict; `googlenet-torchvision` and
`alexnet-torchvision` have torchvision's names and shapes.
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
    Sequence,
)
from analyzer.networks.variants import variant
from analyzer.networks.walk import Step, join, walk

Value = TypeVar("Value")


class Outputs(NamedTuple):
    """What a network with auxiliary heads returns in training: three tensors of logits, (batch, classes) each."""

    logits: Tensor
    aux1: Tensor
    aux2: Tensor


def build(
    name: str, *, train: bool = False, overrides: Overrides | None = None, input: Shape | None = None
) -> nn.Module:
    """The named network on the CPU in float32, freshly initialised (He et al. 2015; zero biases).

    With `train` the auxiliary heads are built and the module is in train mode and returns `Outputs`; without, it is in
    eval mode and returns logits. `input` is (channels, height, width): fully connected layers are built for it.
    Raises AnalyzerError for an unknown name or an input that the network cannot take.
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
    """The network's module on the meta device: shapes without storage, for who counts or fills it in himself."""
    shapes = {step.path: step.inputs[0] for step in steps}
    return _Trunk(_children(network.trunk, "", shapes, train=train)).train(train)


def auxiliary_loss(outputs: Tensor | Outputs, target: Tensor) -> Tensor:
    """Cross entropy of the logits plus 0.3 times that of each auxiliary head.

    `target` is (batch,) of class numbers. A network without heads returns logits alone, and its loss is theirs.
    """
    if isinstance(outputs, Tensor):
        return F.cross_entropy(outputs, target)
    heads = F.cross_entropy(outputs.aux1, target) + F.cross_entropy(outputs.aux2, target)
    return F.cross_entropy(outputs.logits, target) + AUXILIARY_WEIGHT * heads


def drop_auxiliary(state_dict: Mapping[str, Value]) -> dict[str, Value]:
    """The state dict without the auxiliary heads: what `build(name)` loads of a file saved with them."""
    return {key: value for key, value in state_dict.items() if not key.startswith(("aux1.", "aux2."))}


class Concatenate(nn.Module):
    """Runs every part on the same input and joins their outputs along the channels."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.children()], 1)


class _Auxiliary(nn.Sequential):
    """A side exit; the trunk keeps its output apart."""


class _Trunk(nn.Module):
    """Runs its parts in order; side exits read what reaches them and hand nothing on."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        exits = []
        for part in self.children():
            if isinstance(part, _Auxiliary):
                # A model built for training may be put in eval mode: then the heads are silent, as in torchvision.
                if self.training:
                    exits.append(part(x))
            else:
                x = part(x)
        return Outputs(x, *exits) if exits else x


def _children(node: Sequence, path: str, shapes: Mapping[str, Shape], *, train: bool) -> OrderedDict[str, nn.Module]:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    before: Node | None = None
    for name, part in node.parts.items():
        if train or not isinstance(part, Auxiliary):
            parts[name] = _module(part, join(path, name), shapes, train=train)
        # In place only on what nobody else reads and no gradient needs: the output of a layer right before it.
        if isinstance(part, ReLU) and isinstance(before, Conv | Linear | BatchNorm) and not isinstance(node, Branches):
            parts[name] = nn.ReLU(inplace=True)
        before = part
    return parts


def _module(node: Node, path: str, shapes: Mapping[str, Shape], *, train: bool) -> nn.Module:
    if isinstance(node, Block):
        node = node.tree()
    if isinstance(node, Sequence):
        kind = (
            Concatenate if isinstance(node, Branches) else _Auxiliary if isinstance(node, Auxiliary) else nn.Sequential
        )
        return kind(_children(node, path, shapes, train=train))
    source = shapes[path]
    return _layer(node.over(source) if isinstance(node, DepthwiseConv) else node, source)


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
