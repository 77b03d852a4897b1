"""Results as Python users see them: tables for `print` and for notebooks, and plotly figures."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError, quoted, require_positive_int
from analyzer.records.comparison import Comparison
from analyzer.records.parameters import Parameters
from analyzer.records.record import By, Record
from reports.counting.count_tables import agreement, network
from reports.counting.groups import default_depth
from reports.table import Table

FIGURES = {"compute": "macs", "params": "params", "activations": "activations", "time": "time"}


def tables(result: Any, **options: Any) -> Sequence[Table]:
    """The tables of a result; `options` are those of its method `table`."""
    if isinstance(result, Record):
        return _record_tables(result, **options)
    if isinstance(result, Comparison):
        from reports.counting import comparison

        if options["depth"] is not None:
            require_positive_int("depth", options["depth"])
        return comparison.tables(result, **options)
    if isinstance(result, Parameters):
        from reports.counting import parameters

        depth, fold = options["depth"], options["fold"]
        if depth is not None:
            require_positive_int("depth", depth)
        levels = parameters.default_depth(result, fold=fold) if depth is None else depth
        return [parameters.table(result, levels, fold=fold)]
    from analyzer.claims.claim import Claim, Claims
    from reports import claims

    if isinstance(result, Claim):
        return claims.claim(result)
    if isinstance(result, Claims):
        return claims.claims(result)
    from reports.regression.tables import all_tables

    return all_tables(result)


def _record_tables(
    record: Record,
    depth: int | None = None,
    by: By = "module",
    sort: str | None = None,
    top: int | None = None,
    fold: bool = True,
) -> list[Table]:
    """Times if the record has any, unless other rows are chosen; else counts, and the agreement and memory if known."""
    levels = default_depth(record, fold=fold) if depth is None else depth
    if record.measurement and by == "module" and sort is None and top is None:
        from reports.timing.pass_tables import tables

        return tables([record], levels)
    counts = network(record, depth, by=by, sort=sort, top=top, fold=fold, types=by == "module")
    shown = [counts.replace(notes=(*counts.notes, *record.notes))]
    if record.agreement:
        shown.append(agreement(record))
    if record.memory:
        from reports.counting import memory

        shown += memory.tables(record, depth=levels)
    return shown


def text(tables: Sequence[Table]) -> str:
    """As wide as the terminal, or 80 columns, with the characters that standard output can write."""
    from reports.formats.terminal import console, show

    width = console().width
    page = _Page()
    show(tables, console(page, width=width))
    return page.getvalue().rstrip("\n")


class _Page(io.StringIO):
    """Text in the encoding of standard output."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def html(tables: Sequence[Table]) -> str:
    from reports.page.notebook import fragment

    return fragment(tables)


def figure(result: Any, name: str) -> Any:
    """A figure of plotly: the modules of a record as tiles, or the networks of a comparison as bars."""
    if name not in FIGURES:
        raise AnalyzerError(f"no figure {quoted(name)}; wanted one of: {', '.join(FIGURES)}")
    from plotly.graph_objects import Figure

    from reports.page.figures.base import BASE
    from reports.page.network_views import network_views
    from reports.page.sections.compute_by_module import TITLES, tiles
    from reports.page.sections.overview import parts

    views = network_views([result] if isinstance(result, Record) else result.records)
    chart = tiles(views[0]) if isinstance(result, Record) else parts(views)
    changes = dict(chart.views).get(TITLES[FIGURES[name]])
    if changes is None:
        raise AnalyzerError(f"figure {quoted(name)}: {views[0].name} has none to show")
    drawn = Figure(data=chart.figure["data"], layout={**BASE, **chart.figure["layout"], "title": {"text": chart.title}})
    for key in ("values", "x", "text", "hovertemplate"):
        for trace, value in zip(drawn.data, changes.get(key, ()), strict=False):
            trace[key] = value
    if "axis" in changes:
        drawn.layout.xaxis.title.text = changes["axis"]
        drawn.layout.xaxis.update(changes.get("ticks", {}))
    return drawn
