"""Advice for a user whose `--input` the model refuses."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.errors import AnalyzerError, InputError
from analyzer.core.parse_inputs import Input
from analyzer.counting.execution.count_any_model import count_model
from analyzer.models.failing_forward_errors import OTHER_INPUT
from analyzer.models.references import Reference
from analyzer.models.zero_inputs import input_zeros

MAX_CHANNELS = 4  # Of an image whose last size may be the channels.


def advised(error: InputError, loaded: Reference, inputs: Sequence[Input], batch: int) -> InputError:
    """The error with the advice to give channels first if the model then runs, else without the advice of `--input`."""
    if error.advice != OTHER_INPUT or not inputs:
        return error
    moved = [
        spec.replace(shape=(spec.shape[-1], *spec.shape[:-1])) if _is_channels_last(spec) else spec for spec in inputs
    ]
    if moved != list(inputs):
        try:
            count_model(loaded.model, *input_zeros(moved, batch), real=loaded.real)
        except AnalyzerError:
            pass
        else:
            options = " ".join(f"--input {spec.typed}" for spec in moved)
            return error.with_advice(f"images in PyTorch have channels first: give {options}")
    return error.with_advice("")


def _is_channels_last(spec: Input) -> bool:
    return not spec.literal and len(spec.shape) == 3 and spec.shape[-1] <= MAX_CHANNELS < spec.shape[0]
