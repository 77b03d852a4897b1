"""`analyzer.compare`: models side by side, counted at one input where they can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import AnalyzerError
from analyzer.core.parse_inputs import is_reference
from analyzer.core.shapes import Shape, shape_text
from analyzer.counting.api import count
from analyzer.records.comparable import unique_names
from analyzer.records.comparison import Comparison, compare_records
from analyzer.records.record import Record

if TYPE_CHECKING:
    from torch import Tensor, nn


def compare(
    *models: str | nn.Module | Record,
    args: Sequence[Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    input: Shape | str | Sequence[str] | None = None,
    batch: int | None = None,
    train: bool | None = None,
) -> Comparison:
    """Compares each model with the first: modules, built-in networks, references and records, in any combination.

    The other arguments are those of `count`. They do not change records, which are compared as they are. Without
    `input`, a model is counted at the input of the first record or of `args`, and in training if that record has a
    training step. A network that does not take that input, or has other parameters there, is counted at its own one
    at the same batch; the title of the comparison says that inputs differ.

    >>> totals = compare("googlenet", "alexnet").totals
    >>> f"{totals['params'].ratio:.2f} {totals['macs'].ratio:.3f}"
    '8.71 0.458'
    >>> from torch import nn
    >>> compare(nn.Linear(64, 8), nn.Linear(64, 16), input="64").totals["macs"].difference
    512
    >>> compare(count("googlenet", batch=8), "googlenet").totals["macs"].ratio
    1.0
    """
    given = bool(kwargs) or not isinstance(args, list | tuple) or bool(args)
    records: dict[int, Record] = {}
    others: dict[int, str | nn.Module] = {}
    for index, model in enumerate(models):
        if isinstance(model, Record):
            records[index] = model
        elif isinstance(model, str) or not given:
            others[index] = model
        else:
            counted = count(model, args, kwargs, input=input, batch=1 if batch is None else batch, train=train)
            records[index] = counted
    first = next((records[index] for index in sorted(records) if records[index].input), None)
    for index, other in others.items():
        if first is None or input is not None:
            records[index] = count(other, input=input, batch=1 if batch is None else batch, train=train)
        else:
            records[index] = _count_like(first, other, batch, train)
    ordered = [records[index] for index in range(len(models))]
    names = [model for model in models if isinstance(model, str)]
    return compare_records(ordered, None if len(set(names)) < len(names) else unique_names(ordered))


def _count_like(record: Record, model: str | nn.Module, batch: int | None, train: bool | None) -> Record:
    """The model at the input, batch and mode of a record; a name at its own input if it does not take the record's."""
    first_batch, *sample = record.input[0] or (1,)
    batch = first_batch if batch is None else batch
    train = True if train is None and record.totals.step else train
    if len(record.input) == 1 and sample:
        try:
            counted = count(model, input=shape_text(tuple(sample)), batch=batch, train=train)
        except AnalyzerError:
            if not isinstance(model, str):  # A module has no input of its own.
                raise
        else:
            if not isinstance(model, str) or is_reference(model) or model == record.model:
                return counted
            # A built-in network is made for its input: at another one, linear layers may have other sizes.
            usual = count(model, batch=batch, train=train)
            return counted if counted.totals.params == usual.totals.params else usual
    return count(model, batch=batch, train=train)
