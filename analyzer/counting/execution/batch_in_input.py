"""Inputs that may contain the batch: `--input 1x3x224x224`, as other tools take it, for a model that wants `3x224x224`.

Sizes leave the batch out. If a model does not run on them and the first one equals the batch, it is the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, InputError
from analyzer.core.inputs import Input, without_batch
from analyzer.core.shapes import shape_text
from analyzer.counting.execution.randomness import seeded
from analyzer.counting.execution.run import count_model
from analyzer.models.huggingface import head_note
from analyzer.models.references import Reference, resolve
from analyzer.models.zeros import input_zeros


def load(reference: str, inputs: Sequence[Input] = (), batch: int = 1) -> Reference:
    """The model of a reference with inputs on which it runs, made under a fixed seed; a note says how they were read.

    Raises AnalyzerError as `resolve` does, and InputError if the model runs on neither reading.
    """
    with seeded():
        loaded = resolve(reference, inputs, batch)
    if loaded.real is not None:
        loaded = loaded._replace(real=seeded()(loaded.real))
    loaded = loaded._replace(notes=(*loaded.notes, *head_note(reference, loaded.model)))
    read, note = read_inputs(loaded.model, inputs, batch, real=loaded.real)
    if read == list(inputs):
        return loaded._replace(notes=(*loaded.notes, *note))
    args, kwargs = input_zeros(read, batch)
    return loaded._replace(args=args, kwargs=kwargs, at_batch=partial(input_zeros, read), notes=(*loaded.notes, *note))


def read_inputs(
    model: nn.Module,
    inputs: Sequence[Input],
    batch: int,
    device: torch.device | None = None,
    real: Callable[[], nn.Module] | None = None,
) -> tuple[list[Input], tuple[str, ...]]:
    """The inputs without a batch in front, and a note on how they were read. It counts the model if both may be meant.

    Raises InputError if the model runs on neither reading.
    """
    inputs, stripped = list(inputs), without_batch(inputs, batch)
    if stripped == inputs:
        return inputs, ()

    def run(args: list[Any], kwargs: Mapping[str, Any]) -> None:
        count_model(model, args, kwargs, real=real)

    shapes, other_shapes = (", ".join(shape_text(spec.shape) for spec in specs) for specs in (inputs, stripped))
    try:
        run(*input_zeros(inputs, batch, device))
    except InputError as error:
        try:
            run(*input_zeros(stripped, batch, device))
        except AnalyzerError:
            raise error from error.__cause__
        return stripped, (f"input {shapes} was read with its batch of {batch}; one sample is {other_shapes}",)
    if all(len(spec.shape) == 3 and spec.shape[0] == 1 for spec in inputs):  # An image of one channel.
        return inputs, ()
    note = (
        f"input {shapes} was read as one sample, without the batch; if it has a batch of {batch}, give {other_shapes}"
    )
    return inputs, (note,)
