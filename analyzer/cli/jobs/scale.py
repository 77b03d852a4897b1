"""The job of `analyze scale`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, spinner
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.scaling.api import Scaling, scaling
from analyzer.scaling.axes import parse_values
from analyzer.scaling.source import ReferenceSource, Source, VariantSource

MAX_VALUES = 10_000


def show_scaling(
    selection: Selection,
    *,
    over: str | None,
    at: Sequence[str],
    metrics: Sequence[str],
    module: str | None,
    memory: bool,
    form: str,
    output: str | None,
) -> int:
    """Raises AnalyzerError for bad input, CannotMeasure for a model that cannot be counted."""
    selection.require_models("scale")
    if len(selection.variants) + len(selection.references) > 1:
        raise AnalyzerError("analyze scale takes one model; run it once for each")
    if memory and module:
        raise AnalyzerError("--memory is of the whole model; leave out --module")
    with spinner("Counting at several sizes …", when=bool(selection.references)):
        costs = scaling(_source(selection), over, at=at, module=module, memory=memory)
        shown = _metrics(costs, metrics)
        values = parse_values(at, costs.axes)
        combinations = prod(map(len, values.values()))
        if combinations > MAX_VALUES:
            raise AnalyzerError(f"--at asks for {combinations:,} combinations of sizes; the limit is {MAX_VALUES:,}")
        points = list(costs.table(values)) if at else []
    from reports import scaling as report

    emit(
        form, output, lambda: report.tables(costs, shown, points), untrusted=True,
        json=lambda: report.dump(costs, shown, points), csv=lambda: report.sheet(costs, shown, points),
        **({} if points else {"latex": lambda: report.latex(costs, shown)}),
    )  # fmt: skip
    refused = [(sizes, row) for sizes, row in points if isinstance(row, AnalyzerError)]
    if refused:
        at_sizes, error = refused[0]
        where = ", ".join(f"{name} {value}" for name, value in at_sizes.items())
        others = f"; {len(refused) - 1} more sizes were not counted either" if len(refused) > 1 else ""
        print_message(f"not counted at {one_line(where)}: {one_line(error)}{others}")
    return 3 if points and len(refused) == len(points) else 0


def _source(selection: Selection) -> Source:
    if selection.references:
        if selection.overrides:
            raise AnalyzerError("--set changes a number of built-in networks; a model takes arguments: net.py:Net(n=3)")
        (reference,) = selection.references
        return ReferenceSource(
            reference, selection.inputs, selection.batch, selection.training, limit_s=selection.timeout_s
        )
    (chosen,) = selection.resolve_variants()
    return VariantSource(chosen, selection.parse_inputs(), selection.batch, selection.training)


def _metrics(costs: Scaling, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in costs.metrics:
            raise AnalyzerError(f"no metric {quoted(name)}; {nearest(name, costs.metrics)}")
    return tuple(names) or costs.metrics
