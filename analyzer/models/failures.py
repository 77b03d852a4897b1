"""Errors for a model that does not run: its exception, its inputs, and the frames in its code."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.core.errors import AnalyzerError, CannotMeasure, InputError, error_text, is_bad_input, one_line


def error_summary(error: BaseException) -> str:
    """Type and first line of an exception, at most 200 characters; of an AnalyzerError the line alone."""
    lines = [text] if (text := error_text(error)) else []
    if not isinstance(error, AnalyzerError) or not lines:
        lines.insert(0, type(error).__name__)
    return ": ".join(lines)[:200]


def run_error(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException) -> InputError:
    """The error for a model that raised: its inputs, the exception, and frames of the user's code as details."""
    name = type(model).__name__
    inputs = [_describe(value) for value in args] + [f"{key}={_describe(value)}" for key, value in kwargs.items()]
    if inputs:
        advice = "for another input use --input"
        message = f"{name} does not run on {', '.join(inputs)}: {error_summary(error)}; {advice}"
    else:
        advice = "add --input 3x224x224 (without the batch dimension)"
        message = f"{name} needs an input: {advice}; {error_summary(error)}"
    wrapped = InputError(message, advice)
    wrapped.details = user_frames(error)
    if not is_bad_input(error):
        wrapped.exit_status = CannotMeasure.exit_status
    return wrapped


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
