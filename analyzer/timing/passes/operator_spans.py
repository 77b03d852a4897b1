"""The operators of a pass in order, each with its rows of the count, found by counting one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from analyzer.core.frozen import Frozen
from analyzer.counting.dispatch.counter import record_rows
from analyzer.records.rows import Count
from analyzer.timing.passes.instrument import Instrument, Ran


class OperatorSpan(Frozen):
    """One operator of a pass. `rows` are the indices of its rows in the count; a view has none.

    `ran` identifies the operator in an instrumented pass: equal sequences mean the same operators.
    """

    path: str
    op: str
    call: int
    rows: tuple[int, ...] = ()
    ran: Ran = ""


def leaf_ids(spans: Sequence[OperatorSpan]) -> frozenset[int]:
    """The modules that are one operator, by id."""
    return frozenset(span.ran for span in spans if isinstance(span.ran, int))


def operator_spans(
    model: nn.Module, run: Callable[[], Any], *, autograd: bool = False, fused: Collection[int] = ()
) -> tuple[tuple[OperatorSpan, ...], Count]:
    """The operators of the pass that `run` makes, and its count. Runs the pass once, under the dispatch counter.

    A span with one row has the row's name; one with several, such as attention, or with none has its function's, and a
    fused module its own.
    `autograd` is for a forward pass that computes gradients itself; `fused` are the ids of modules that are one
    operator.
    """
    names: list[tuple[str, str]] = []
    with record_rows(model, autograd=autograd) as recorder:

        def on_operator(op: str, leaf: nn.Module | None) -> None:
            names.append((recorder.paths.get(id(leaf), recorder.path) if leaf else recorder.path, op))

        # The "time" of this pass is the number of rows so far: an operator's rows appear before the next operator
        # starts.
        instrument = Instrument(lambda: len(recorder.rows), on_operator, fused)
        with instrument.installed(model), instrument:
            run()
    rows, count = list(recorder.rows), recorder.count()
    ranges = pairwise([*instrument.marks[::2], len(rows)])
    calls: Counter[tuple[str, str]] = Counter()
    spans = []
    for (path, op), (start, end), ran in zip(names, ranges, instrument.ran, strict=True):
        if end - start == 1 and ran not in fused:
            path, op, call = rows[start].path, rows[start].op, rows[start].call
        else:
            calls[path, op] += 1
            call = calls[path, op]
        spans.append(OperatorSpan(path, op, call, tuple(range(start, end)), ran))
    return tuple(spans), count


def runs_operators(model: nn.Module, run: Callable[[], Any], spans: Sequence[OperatorSpan]) -> bool:
    """Whether the pass that `run` makes of `model` calls the functions of `spans`, in their order: an exported program
    does, without the modules that it was exported from."""
    instrument = Instrument(lambda: None)
    with instrument.installed(model), instrument:
        run()
    return instrument.ran == [span.ran for span in spans]
