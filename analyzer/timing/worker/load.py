"""The model that a request names, its input, and what is counted of it: everything before the first timed pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.module_names import op_name, paths_of
from analyzer.records.timings import Configuration
from analyzer.timing.clock.clocks import Clock
from analyzer.timing.passes.prepare import LEARNING_RATE, NOTHING, Prepared, prepared
from analyzer.timing.passes.tiles import Tile
from analyzer.timing.passes.timed_pass import Inference, Pass, Training
from analyzer.timing.request import Request


def loaded(request: Request) -> Prepared:
    """Raises AnalyzerError for a reference that names nothing, or a configuration that its model cannot have."""
    model, args, kwargs, loss = _model(request)
    return prepared(model, args, kwargs, request.configuration, loss)


def _model(request: Request) -> tuple[nn.Module, Sequence[Any], Mapping[str, Any], Any]:
    """The model, what it is fed, and how its loss is made where that is known."""
    from analyzer.core.inputs import image, parse_input

    fed, configuration = [parse_input(text) for text in request.inputs], request.configuration
    if request.variant is not None:
        from analyzer.models.builder import auxiliary_loss, build
        from analyzer.networks.variants import variant

        size = image(fed)
        shape = (configuration.batch, *(size or variant(request.variant, request.overrides).network.input))
        model = build(request.variant, train=configuration.training, overrides=request.overrides, input=size)
        target = torch.zeros(configuration.batch, dtype=torch.int64, device=configuration.device)
        return model, [torch.empty(shape)], {}, lambda output: auxiliary_loss(output, target)
    from analyzer.models.references import resolve

    found = resolve(request.reference or "", fed, configuration.batch)
    model = found.model
    if any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()]) and found.real:
        model = found.real()
    return model, found.args, found.kwargs, None


def counted(ready: Prepared, request: Request) -> dict[str, Any] | None:
    """The record of a model by reference, which only a run can count; None for a named network."""
    if not request.reference:
        return None
    from analyzer.counting.api import count_module
    from analyzer.records.envelope import record_to_json

    train = True if request.configuration.training else None
    return record_to_json(count_module(ready.eager, ready.args, ready.kwargs, train=train, label=request.reference))


def takes_gradients(run: Callable[[], Any]) -> bool:
    """Whether a forward pass takes gradients itself, such as forces from an energy: not in inference mode then."""
    try:
        with torch.inference_mode():
            run()
    except RuntimeError as error:
        if not re.search("grad|inference", str(error), re.IGNORECASE):
            raise
        return True
    return False


def unsupported(ready: Prepared, configuration: Configuration) -> str:
    """`norm1: local_response_norm`: the innermost module in which a pass ends; "" where it does not, or in none.

    Of an operator that a type or a device lacks torch names only its own kernel.
    """
    paths, under_way = paths_of(ready.eager), []
    before = register_module_forward_pre_hook(lambda module, args: under_way.append(module))
    after = register_module_forward_hook(lambda module, args, output: under_way.pop() and None)
    try:
        with nullcontext() if configuration.training else torch.inference_mode():
            ready.loss() if configuration.training else ready.run()
    except Exception:
        inside = next((module for module in reversed(under_way) if id(module) in paths), None)
        return f"{paths[id(inside)]}: {op_name(inside)}" if inside is not None and inside is not ready.eager else ""
    finally:
        before.remove()
        after.remove()
    return ""


def passes(ready: Prepared, tiles: Sequence[Tile], clock: Clock, *, training: bool) -> Pass:
    """What a sample is of: a forward pass, or a step of SGD with momentum."""
    if not training:
        return Inference(ready.run, ready.eager, tiles, clock)
    learned = [parameter for parameter in ready.model.parameters() if parameter.requires_grad]
    if not learned:
        raise AnalyzerError(NOTHING)
    optimizer = torch.optim.SGD(learned, lr=LEARNING_RATE, momentum=0.9)
    return Training(ready.loss, ready.eager, optimizer, tiles, clock)
