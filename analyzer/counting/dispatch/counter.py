"""The dispatch counter: every operator that runs, under the module whose forward called it.

A dispatch mode sees every operator; global forward hooks say which module runs. The model itself is not touched. In
inference mode torch dispatches operators as the user called them: an operator with a formula is counted whole, a
composite one without is decomposed and its parts are added up under its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from analyzer.counting.dispatch.outputs import run_model
from analyzer.counting.dispatch.rows import RowRecorder
from analyzer.counting.dispatch.unused import unused_notes
from analyzer.counting.operators.contractions import ContractionsAsProducts
from analyzer.records.note import Note
from analyzer.records.record import Count


def count_operators(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
) -> Count:
    """The dispatch count of one forward pass, on the device of the model and its arguments, in the model's mode.

    `roles` maps a path to its canonical role; any other path is its own role. `autograd` is for a model whose forward
    takes gradients, such as forces from an energy: torch then dispatches operators decomposed (`linear` as `addmm`),
    with the same MACs.
    """
    return count_with_notes(model, args, kwargs, roles=roles, autograd=autograd)[0]


def count_with_notes(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
) -> tuple[Count, tuple[Note, ...]]:
    """As `count_operators`, with notes on work that was not dispatched and on parameters that were not used."""
    with record_rows(model, roles=roles, autograd=autograd) as recorder:
        recorder.finish(run_model(model, args, kwargs))
    count = recorder.count()
    return count, (*recorder.notes, *unused_notes(count))


@contextmanager
def record_rows(
    model: nn.Module, *, roles: Mapping[str, str] | None = None, autograd: bool = False
) -> Iterator[RowRecorder]:
    """Records the rows of everything that runs in the `with` block, while it runs."""
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad() if autograd else torch.inference_mode())
        if autograd:
            stack.enter_context(ContractionsAsProducts())
        yield stack.enter_context(RowRecorder(model, roles or {}))
