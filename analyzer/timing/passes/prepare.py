"""A model made ready to be timed at one configuration: built, moved, converted, fed with random data of its own kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.records.timings import Configuration

LEARNING_RATE = 1e-6  # A step costs the same at any; at this one no loss runs away.
NOTHING = "there is nothing to train: no output of this model depends on a parameter that learns"


class Prepared(Frozen):
    """`run` makes a forward pass; `loss` one that ends in a loss; `eager` is the model before compiling."""

    model: nn.Module
    eager: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    run: Callable[[], Any]
    loss: Callable[[], Tensor]


def prepared(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    configuration: Configuration,
    loss: Callable[[Any], Tensor] | None = None,
) -> Prepared:
    """Changes the model in place. `loss` makes one of the model's output; without, it is the sum of all of it.

    In training the parameters that its author froze stay frozen. Raises AnalyzerError for a configuration that this model
    cannot have.
    """
    dtype = getattr(torch, configuration.dtype)
    layout = torch.channels_last if configuration.layout == "channels_last" else torch.contiguous_format
    fed = mapped((list(args), dict(kwargs)), lambda tensor: _random(tensor, dtype, configuration.device, layout))
    if layout is torch.channels_last and not _has_images(fed):
        raise AnalyzerError("channels_last is a layout of images: no input of this model has four axes")
    model = model.to(device=configuration.device)
    # Not by `to(dtype)`, which makes complex parameters real.
    model._apply(lambda one: one.to(dtype) if one.is_floating_point() else one)  # type: ignore[no-untyped-call]
    model = model.to(memory_format=layout)  # type: ignore[call-overload]
    model.train(configuration.training)
    if not configuration.training:
        for parameter in model.parameters():  # One by one: a ScriptModule has no requires_grad_ of its own.
            parameter.requires_grad_(False)
    eager, objective = model, loss or total
    if configuration.compiled:
        model = torch.compile(model)  # type: ignore[assignment]
    there, named = fed

    def run() -> Any:
        return model(*there, **named)

    return Prepared(model, eager, there, named, run, lambda: objective(run()))


def total(output: Any) -> Tensor:
    """The sum of every floating tensor of an output: the same operators whether or not gradients are taken."""
    from analyzer.counting.dispatch.backward import outputs_of

    parts = [tensor.float().sum() for tensor in outputs_of(output) if tensor.is_floating_point()]
    loss = torch.stack(parts).sum() if parts else torch.zeros(())
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise AnalyzerError(NOTHING)
    return loss


def _random(tensor: Tensor, dtype: torch.dtype, device: str, layout: torch.memory_format) -> Tensor:
    """Floating inputs of the configuration's type, normal: zeros and denormals are not what a network meets."""
    if not tensor.is_floating_point():
        return tensor.to(device)
    made = torch.randn(tensor.shape, device=device).to(dtype)
    return made.contiguous(memory_format=layout) if tensor.dim() == 4 else made


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    return value


def _has_images(value: Any) -> bool:
    found: list[bool] = []
    mapped(value, lambda tensor: found.append(tensor.dim() == 4) or tensor)  # type: ignore[func-returns-value]
    return any(found)
