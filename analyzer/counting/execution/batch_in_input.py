"""Inputs that may contain the batch: `--input 1x3x224x224`, as other tools take it, for a model that wants `3x224x224`.

Sizes leave the batch out. If a model does not run on them as a sample but does as a batch, the first size is the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, InputError
from analyzer.core.parse_inputs import Input, without_batch
from analyzer.core.shapes import shape_text
from analyzer.counting.execution.count_any_model import count_model
from analyzer.counting.execution.input_advice import advised
from analyzer.counting.execution.randomness import seeded
from analyzer.models.huggingface import head_note
from analyzer.models.references import Reference, resolve
from analyzer.models.zero_inputs import input_zeros


class Reading(NamedTuple):
    """Inputs as samples, their batch, and a note on how they were read."""

    samples: list[Input]
    batch: int
    notes: tuple[str, ...] = ()


def load(reference: str, inputs: Sequence[Input] = (), batch: int = 1, *, any_batch: bool = True) -> Reference:
    """The model of a reference with inputs on which it runs, made under a fixed seed; a note says how they were read.

    Without `any_batch`, sizes with another batch than `batch` in front are refused, for callers that record it.
    Raises AnalyzerError as `resolve` does, and InputError if the model runs on neither reading.
    """
    with seeded():
        loaded = resolve(reference, inputs, batch)
    if loaded.real is not None:
        loaded = loaded._replace(real=seeded()(loaded.real))
    loaded = loaded._replace(notes=(*loaded.notes, *head_note(reference, loaded.model)))
    try:
        read = _read(loaded.model, inputs, batch, real=loaded.real, any_batch=any_batch)
    except InputError as error:
        raise advised(error, loaded, inputs, batch) from error.__cause__
    if read.samples == list(inputs):
        return loaded._replace(notes=(*loaded.notes, *read.notes))
    args, kwargs = input_zeros(read.samples, read.batch)
    at_batch = partial(input_zeros, read.samples)
    return loaded._replace(args=args, kwargs=kwargs, at_batch=at_batch, notes=(*loaded.notes, *read.notes))


def read_inputs(
    model: nn.Module, inputs: Sequence[Input], batch: int, device: torch.device | None = None
) -> tuple[list[Input], tuple[str, ...]]:
    """Inputs on which the model runs at `batch`, and a note on how they were read.

    Sizes with another batch are literal. Raises InputError if the model runs on neither reading.
    """
    read = _read(model, inputs, batch, device)
    if read.batch == batch:
        return read.samples, read.notes
    return [spec.replace(shape=spec.batched(read.batch), literal=True) for spec in read.samples], read.notes


def _read(
    model: nn.Module,
    inputs: Sequence[Input],
    batch: int,
    device: torch.device | None = None,
    *,
    real: Callable[[], nn.Module] | None = None,
    any_batch: bool = True,
) -> Reading:
    """Counts the model if the first size may be the batch."""
    inputs = list(inputs)
    front = _size_in_front(inputs, batch)
    stripped = without_batch(inputs, front) if front else inputs
    if stripped == inputs:
        return Reading(inputs, batch)

    def run(specs: Sequence[Input], batch: int) -> None:
        count_model(model, *input_zeros(specs, batch, device), real=real)

    shapes, samples = (", ".join(shape_text(spec.shape) for spec in specs) for specs in (inputs, stripped))
    inner = batch if front == 1 else front
    try:
        run(inputs, batch)
    except InputError as error:
        try:
            run(stripped, inner)
        except AnalyzerError:
            raise error from error.__cause__
        if inner != batch and not (any_batch and batch == 1):
            options = " ".join(f"--input {spec.typed}" for spec in stripped)
            advice = f"the first size is a batch: give {options} --batch {inner}"
            raise error.with_advice(advice) from error.__cause__
        return Reading(stripped, inner, (f"input {shapes} was read as {samples} at batch {inner}",))
    if front != batch or all(len(spec.shape) == 3 and spec.shape[0] == 1 for spec in inputs):  # One channel.
        return Reading(inputs, batch)
    note = f"input {shapes} was read as one sample, without the batch; if it has a batch of {batch}, give {samples}"
    return Reading(inputs, batch, (note,))


def _size_in_front(inputs: Sequence[Input], batch: int) -> int:
    """The first size that may be the batch; 0 if there is none. An image of three channels is a sample, which saves
    counting it twice."""
    shapes = [spec.shape for spec in inputs if not spec.literal and len(spec.shape) > 1]
    fronts = [shape[0] for shape in shapes]
    if batch in fronts:
        return batch
    if 1 in fronts:
        return 1
    return fronts[0] if fronts and not (len(shapes[0]) == 3 and fronts[0] == 3) else 0
