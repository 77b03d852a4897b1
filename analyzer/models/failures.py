"""What is said of a model that does not run: its own words, what it was fed, and where in its code it failed."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.core.errors import AnalyzerError, one_line


def short(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return one_line(": ".join([type(error).__name__, *words[:1]]))[:200]


def failed(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException) -> AnalyzerError:
    """The model's own words, what it was fed, and where in its code it failed."""
    fed = [_fed(value) for value in args] + [f"{name}={_fed(value)}" for name, value in kwargs.items()]
    what = f"{type(model).__name__} does not run on {', '.join(fed) or 'no input'}"
    advice = "if it takes another, give that" if fed else "give its input"
    raised = AnalyzerError(f"{what}: {short(error)}; {advice} with --input")
    raised.details = own_frames(error)
    return raised


def _fed(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    try:
        return f"{'x'.join(map(str, value.shape))} {str(value.dtype)[6:]}"
    except RuntimeError:  # A nested tensor has no one shape.
        return f"nested {str(value.dtype)[6:]}"


def own_frames(error: BaseException) -> tuple[str, ...]:
    """Where an error came from in the user's own code: its last frames outside of this package and of torch."""
    ours, theirs = Path(__file__).parents[1], Path(torch.__file__).parent
    frames = [
        f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(folder in Path(frame.filename).parents for folder in (ours, theirs))
        and "importlib" not in frame.filename
    ]
    return tuple(map(one_line, frames[-4:]))
