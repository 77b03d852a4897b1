"""The job of `analyze scale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, spinner
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.scaling.api import Scaling, scaling
from analyzer.scaling.axes import parse_values
from analyzer.scaling.countable_model import ReferenceSource, Source, VariantSource
from analyzer.scaling.largest_sizes import capacity

MAX_VALUES = 10_000


def show_scaling(
    selection: Selection,
    *,
    over: str | None,
    at: Sequence[str],
    metrics: Sequence[str],
    module: str | None,
    memory: bool,
    against: str | None,
    form: str,
    output: str | None,
) -> int:
    """Raises AnalyzerError for bad input, CannotMeasure for a model that cannot be counted."""
    selection.require_models("scale")
    if len(selection.variants) + len(selection.references) > 1:
        raise AnalyzerError("analyze scale takes one model; run it once for each")
    if (memory or against) and module:
        option = "--memory" if memory else "--against"
        raise AnalyzerError(f"{option} applies to the whole model; leave out --module")
    if "cache_bytes" in metrics and module:
        raise AnalyzerError("cache_bytes applies to the whole model; leave out --module")
    fitted = capacity(against) if against is not None else None
    if form == "html" and not at:
        raise AnalyzerError("an HTML page has charts over sizes; give the sizes, such as --at batch=1..64:x2")
    with spinner("counting at several sizes", when=bool(selection.references)):
        costs = scaling(_source(selection), over, at=at, module=module, memory=memory or fitted is not None,
                        cache="cache_bytes" in metrics)  # fmt: skip
        shown = _metrics(costs, metrics)
        values = parse_values(at, costs.axes)
        combinations = prod(map(len, values.values()))
        if combinations > MAX_VALUES:
            raise AnalyzerError(f"--at asks for {combinations:,} combinations of sizes; the limit is {MAX_VALUES:,}")
        points = list(costs.table(values)) if at else []
        refused = _refused(costs, points)
        if refused and len(refused.sizes) == len(points):
            raise type(refused.error)(refused.text)
    from reports import scaling as report

    def page() -> str:
        from reports.page.sections import scaling as sections
        from reports.page.write import html

        return html(sections.page(costs, shown, points, fitted))

    equations = {} if points else {"latex": lambda: report.latex(costs, shown)}
    emit(
        form, output, lambda: report.tables(costs, shown, points, fitted), untrusted=True,
        json=lambda: report.dump(costs, shown, points, fitted), csv=lambda: report.sheet(costs, shown, points),
        html=page, **equations,
    )  # fmt: skip
    if refused:
        print_message(refused.text)
    return 0


class _Refused(Frozen):
    """Sizes that the model does not take, the error of the first, and what to print."""

    sizes: tuple[Mapping[str, int], ...]
    error: AnalyzerError
    text: str


def _refused(costs: Scaling, points: Sequence[tuple[Mapping[str, int], Any]]) -> _Refused | None:
    refused = [(sizes, row) for sizes, row in points if isinstance(row, AnalyzerError)]
    if not refused:
        return None
    at, error = refused[0]
    where = ", ".join(f"{name} {value}" for name, value in at.items())
    others = f"; nor at {len(refused) - 1} other sizes" if len(refused) > 1 else ""
    taken = "; ".join(costs.taken(axis) for axis in costs.axes if at[axis.name] != axis.base)
    text = f"not counted at {one_line(where)}: {one_line(error)}{others}; {one_line(taken)}"
    return _Refused(tuple(sizes for sizes, _ in refused), error, text)


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
