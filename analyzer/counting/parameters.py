"""`analyzer.params`: what a model holds, without running it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.parse_inputs import is_reference
from analyzer.networks.variants import variant
from analyzer.records.parameters import ModuleParameters, Parameters

if TYPE_CHECKING:
    from torch import Tensor, nn


def params(model: str | nn.Module) -> Parameters:
    """Parameters and buffers of a module, a built-in network or a model by reference, by module and without an input.

    A tensor that several modules share is counted once. Elements of packed and sharded tensors are those of the whole
    tensor as torch reports it. Raises AnalyzerError for a module whose parameters have no shape yet.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    >>> net[0].weight.requires_grad_(False).shape
    torch.Size([3, 4])
    >>> counted = params(net)
    >>> counted.params, counted.total.trainable, counted.total.frozen, counted.total.buffers
    (21, 9, 12, 7)
    """
    label = model if isinstance(model, str) else type(model).__name__
    module = _module(model) if isinstance(model, str) else model
    if isinstance(module, type) or not hasattr(module, "named_modules"):
        raise AnalyzerError(
            f"an object of type {type(module).__name__} has no parameters; wanted a name, a reference or an nn.Module"
        )
    seen: dict[int, Tensor] = {}  # Kept, so that no new tensor gets the id of an old one.

    def new(tensors: Iterable[Tensor]) -> list[Tensor]:
        return [seen.setdefault(id(tensor), tensor) for tensor in tensors if id(tensor) not in seen]

    rows = []
    for path, part in module.named_modules():
        kind = getattr(part, "original_name", None) or type(part).__name__  # That of a TorchScript module's class.
        try:
            rows.append(_row(path, kind, new(part.parameters(recurse=False)), new(part.buffers(recurse=False))))
        except ValueError as error:  # An uninitialized parameter has no shape.
            name = one_line(f"{label}.{path}" if path else label)
            raise AnalyzerError(f"{name} ({kind}) has parameters without a shape; run the model once") from error
    return Parameters(label, tuple(rows))


def _module(name: str) -> nn.Module:
    """The model on meta where it can be built there."""
    if is_reference(name):
        from analyzer.counting.execution.torch_settings import restore_settings
        from analyzer.models.references import resolve

        with restore_settings():
            return resolve(name).model
    from analyzer.models.spec_to_module import construct
    from analyzer.networks.walk import walk

    network = variant(name).network
    return construct(network, walk(network), train=False)


def _row(path: str, kind: str, parameters: list[Tensor], buffers: list[Tensor]) -> ModuleParameters:
    from analyzer.counting.dispatch.tensors import bytes_of

    trainable = sum(tensor.numel() for tensor in parameters if tensor.requires_grad)
    return ModuleParameters(
        path=path,
        type=kind,
        trainable=trainable,
        frozen=sum(tensor.numel() for tensor in parameters) - trainable,
        parameter_bytes=sum(map(bytes_of, parameters)),
        buffers=sum(tensor.numel() for tensor in buffers),
        buffer_bytes=sum(map(bytes_of, buffers)),
    )
