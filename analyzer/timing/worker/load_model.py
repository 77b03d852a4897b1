"""Loads the model and input that a request names, and counts it: everything before the first timed pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from analyzer.core.parse_inputs import Input
from analyzer.counting.dispatch.module_names import op_name, paths_of
from analyzer.records.timings import Configuration
from analyzer.timing.passes.prepare_model import PreparedModel, prepare_model
from analyzer.timing.request import Request


def load_model(request: Request) -> PreparedModel:
    """Raises AnalyzerError for an unknown reference, or a configuration that its model cannot have."""
    model, args, kwargs, options = _model(request)
    return prepare_model(model, args, kwargs, request.configuration, new_inputs=request.new_inputs, **options)


def _model(request: Request) -> tuple[nn.Module, Sequence[Any], Mapping[str, Any], dict[str, Any]]:
    """The model, its args and kwargs, and options of `prepare_model`."""
    from analyzer.core.parse_inputs import image_shape, parse_input

    inputs, configuration = [parse_input(text) for text in request.inputs], request.configuration
    if request.variant is not None:
        from analyzer.models.spec_to_module import auxiliary_loss, build
        from analyzer.networks.variants import variant

        size = image_shape(inputs, configuration.batch)
        shape = (configuration.batch, *(size or variant(request.variant, request.overrides).network.input))
        model = build(request.variant, train=configuration.training, overrides=request.overrides, input=size)
        target = torch.zeros(configuration.batch, dtype=torch.int64, device=configuration.device)
        return model, [torch.empty(shape)], {}, {"loss": lambda output: auxiliary_loss(output, target)}
    if request.module:
        from analyzer.timing.worker.sent_module import read_module

        model, args, kwargs = read_module(Path(request.module))
        return model, *arguments(request, args, kwargs)
    from analyzer.counting.execution.batch_in_input import load

    reference = load(request.reference or "", inputs, configuration.batch, any_batch=False)
    model = reference.model
    if any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()]) and reference.real:
        model = reference.real()
    return model, reference.args, reference.kwargs, {"deployed": reference.deployed, "ranges": _ranges(inputs)}


def arguments(
    request: Request, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any], dict[str, Any]]:
    """The args and kwargs of a module in memory, and options of `prepare_model`: given ones keep their values, those of
    `request.inputs` are drawn."""
    if not request.inputs:
        return args, kwargs, {"given": True}
    from analyzer.core.parse_inputs import parse_input
    from analyzer.models.zero_inputs import input_zeros

    inputs = [parse_input(text) for text in request.inputs]
    return *input_zeros(inputs, request.configuration.batch), {"ranges": _ranges(inputs)}


def _ranges(inputs: Sequence[Input]) -> dict[int | str, int]:
    """By position or name, below which number token ids are drawn."""
    unnamed = [spec for spec in inputs if spec.name is None]
    return {unnamed.index(spec) if spec.name is None else spec.name: spec.below for spec in inputs if spec.below}


def count_reference(prepared: PreparedModel, request: Request) -> dict[str, Any] | None:
    """The record, as JSON, of a model by reference, which only a run can count; None for a built-in network."""
    if not request.reference:
        return None
    from analyzer.counting.api import count_module
    from analyzer.records.record_json import record_to_json

    train = True if request.configuration.training else None
    return record_to_json(
        count_module(prepared.eager, prepared.args, prepared.kwargs, train=train, label=request.reference)
    )


def computes_gradients(run: Callable[[], Any]) -> bool:
    """Whether a forward pass computes gradients, such as forces from an energy, so that inference mode breaks it."""
    try:
        with torch.inference_mode():
            run()
    except RuntimeError as error:
        if not re.search("grad|inference", str(error), re.IGNORECASE):
            raise
        return True
    return False


def failing_module(prepared: PreparedModel, configuration: Configuration) -> str:
    """`norm1: local_response_norm`, the innermost module in which a pass raises; "" if the error is outside all
    modules.

    For an operator that a type or a device lacks, torch names only its own kernel.
    """
    paths, running = paths_of(prepared.eager), []
    before = register_module_forward_pre_hook(lambda module, args: running.append(module))
    after = register_module_forward_hook(lambda module, args, output: running.pop() and None)
    try:
        with nullcontext() if configuration.training else torch.inference_mode():
            prepared.loss() if configuration.training else prepared.run()
    except Exception:
        innermost = next((module for module in reversed(running) if id(module) in paths), prepared.eager)
        return "" if innermost is prepared.eager else f"{paths[id(innermost)]}: {op_name(innermost)}"
    finally:
        before.remove()
        after.remove()
    return ""
