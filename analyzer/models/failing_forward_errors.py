"""Errors for a model that does not run: its exception, its inputs, and the frames in its code."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.core.errors import (
    AnalyzerError,
    CannotMeasure,
    InputError,
    error_text,
    full_text,
    is_bad_input,
    one_line,
)

OTHER_INPUT = "for another input use --input"
LARGER_BATCH = "batch norm in training needs several values per channel, so use --batch 2"


def naming_the_model(handle: Callable[..., Mapping[str, Any]]) -> Callable[..., Mapping[str, Any]]:
    """A task of a worker, `handle(request, send)`, of which an exception of the model's code becomes a CannotMeasure
    with the request's `reference` and the frames in that code."""

    @wraps(handle)
    def handle_named(request: Mapping[str, Any], send: Any) -> Mapping[str, Any]:
        try:
            return handle(request, send)
        except AnalyzerError:
            raise
        except BaseException as error:
            reference = one_line(request["reference"])
            raised = CannotMeasure(f"{reference} raised {type(error).__name__}: {error_text(error)}".rstrip(": "))
            with suppress(Exception):  # It reads the code's file, which the model may prevent.
                raised.details = user_frames(error)
            raise raised from error

    return handle_named


def error_summary(error: BaseException) -> str:
    """Type and first line of an exception, at most 200 characters; of an AnalyzerError the line alone."""
    if "NestedTensorImpl doesn't support sizes" in full_text(error):
        return "nested tensors of layout torch.strided have no shapes; make them with layout=torch.jagged"
    lines = [text] if (text := error_text(error)) else []
    if not isinstance(error, AnalyzerError) or not lines:
        lines.insert(0, type(error).__name__)
    return ": ".join(lines)[:200]


def is_certain(failures: Sequence[BaseException]) -> bool:
    """Whether a model raised the same each time on meta, and for no reason that real tensors do not have."""
    texts = set(map(error_summary, failures))
    return len(failures) > 1 and len(texts) == 1 and not _OF_META.search("".join(texts))


_OF_META = re.compile("meta|fake|device|cpu|cuda|data.dependent|values|item|storage|NotImplemented", re.IGNORECASE)


def run_error(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException) -> InputError:
    """The error for a model that raised: its inputs, the exception, and frames of the user's code as details."""
    name = type(model).__name__
    inputs = [_describe(value) for value in args] + [f"{key}={_describe(value)}" for key, value in kwargs.items()]
    if inputs:
        one_value = "more than 1 value per channel when training" in full_text(error)
        advice = LARGER_BATCH if one_value else OTHER_INPUT
        message = f"{name} does not run on {', '.join(inputs)}: {error_summary(error)}; {advice}"
    else:
        example, *others = example_inputs(model)
        options = " ".join(f"--input {text}" for text in (example, *others))
        advice = f"add {options} (without the batch dimension)"
        message = f"{name} needs an input: {advice}; {error_summary(error)}"
    wrapped = InputError(message, advice, "" if inputs else example)
    wrapped.details = user_frames(error)
    if not is_bad_input(error):
        wrapped.exit_status = CannotMeasure.exit_status
    return wrapped


def example_inputs(model: nn.Module) -> list[str]:
    """A text as for `--input` per required argument of a model: sizes that its first layer takes, then names."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [item.name for item in parameters if item.default is item.empty and item.kind not in variadic]
    sizes = next(filter(None, map(_example_sizes, model.modules())), "3x224x224")
    return [sizes, *(f"{name}=SIZES" for name in required[1:])]


def _example_sizes(layer: nn.Module) -> str:
    """Sizes that a layer takes, without the batch; empty for a layer that takes many."""
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return "128:int64"
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        spatial = ("1024", "224x224", "16x112x112")[len(layer.kernel_size) - 1]
        return f"{layer.in_channels or 3}x{spatial}"
    if isinstance(layer, nn.RNNBase):
        return f"128x{layer.input_size}"
    if isinstance(layer, nn.MultiheadAttention):
        return f"128x{layer.embed_dim}"
    return str(layer.in_features) if isinstance(layer, nn.Linear) and layer.in_features else ""


def _describe(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    try:
        return f"{'x'.join(map(str, value.shape))} {str(value.dtype)[6:]}"
    except RuntimeError:  # A nested tensor has no single shape.
        return f"nested {str(value.dtype)[6:]}"


def user_frames(error: BaseException) -> tuple[str, ...]:
    """The last four frames of a traceback in the user's code: outside of this package, torch and importlib."""
    libraries = (Path(__file__).parents[1], Path(torch.__file__).parent)
    frames = [
        f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(folder in Path(frame.filename).parents for folder in libraries) and "importlib" not in frame.filename
    ]
    return tuple(map(one_line, frames[-4:]))
