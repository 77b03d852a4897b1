"""`analyze report --from`: reads stored results, analyses them, and writes the page or its tables."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, spinner, write
from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import read_text

if TYPE_CHECKING:
    from analyzer.sweeps.analysis.accuracy import Accuracy
    from analyzer.sweeps.analysis.analysis import Analysis
    from analyzer.sweeps.analysis.pareto import Cost
    from reports.page.write import Charts

OUTPUT = "analysis.html"
HISTORY = "history"


def run_sweep_report(
    source: str,
    *,
    where: str | None,
    store: str | None,
    accuracy: str | None,
    cost: Cost | None,
    axes: tuple[str, ...],
    charts: Charts,
    figures: str | None,
    form: str,
    output: str | None,
) -> int:
    """Returns 0. Raises AnalyzerError if there is no result to show, for a bad filter, file or axis."""
    accuracies = _read_accuracy(accuracy) if accuracy else None
    with spinner("reading results", when=True):
        analysis = _analyse(source, where, store, accuracies, cost, axes)
    for note in analysis.notes:
        print_message(note)
    if form in ("html", "md") or figures:
        return _write_page(
            analysis, source, _command(source, where, accuracy, cost, axes), charts, figures, form, output
        )
    from reports.sweeps.data import dump, sheet
    from reports.sweeps.tables import tables

    emit(
        form, output, lambda: tables(analysis), untrusted=True, json=lambda: dump(analysis), csv=lambda: sheet(analysis)
    )
    return 0


def _analyse(
    source: str,
    where: str | None,
    store: str | None,
    accuracy: Accuracy | None,
    cost: Cost | None,
    axes: tuple[str, ...],
) -> Analysis:
    from analyzer.database.store import open_store
    from analyzer.sweeps.analysis.analysis import analyze_points
    from analyzer.sweeps.analysis.points import row_point

    condition = _condition(source, where)
    with open_store(store, create=False) as opened:
        points = map(row_point, opened.select(condition, whole=True, descending=False))
        analysis = analyze_points(points, accuracy=accuracy, first_cost=cost, axes=axes)
        for note in opened.notes:
            print_message(note)
        if not analysis.points:
            raise AnalyzerError(_nothing(source, where, opened.name))
    return analysis


def _condition(source: str, where: str | None) -> str | None:
    """The filter of `history` and of the runs of a grid's file, whose names end with the grid's key."""
    if source == HISTORY:
        return where
    if not source.lower().endswith(".toml"):
        raise AnalyzerError(
            f"--from {one_line(source)} is neither history nor a grid's file GRID.toml; give one of them"
        )
    from analyzer.sweeps.api import read_grid
    from analyzer.sweeps.grid import cases
    from analyzer.sweeps.keys import grid_key

    runs = f'run ~ "*-{grid_key(cases(read_grid(source)))}"'
    return f"{runs} and ({where})" if where else runs


def _nothing(source: str, where: str | None, store: str) -> str:
    if where:
        return f"--where {quoted(where)} selects no result of {one_line(source)} in {store}"
    if source == HISTORY:
        return f"{store} has no results; run analyze sweep or analyze time first, or name a store with --store"
    name = one_line(source)
    return (
        f"no run of {name} is in {store}; run analyze sweep {name} first. With other options it was another grid: "
        "use --from history --where 'run == \"…\"' for it"
    )


def _read_accuracy(name: str) -> Accuracy:
    from analyzer.sweeps.analysis.accuracy import parse_accuracy

    try:
        text = read_text(name)
    except (OSError, UnicodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise AnalyzerError(f"cannot read {quoted(name)}: {reason}; wanted a CSV file with model,accuracy") from None
    return parse_accuracy(text, name)


def _write_page(
    analysis: Analysis, source: str, command: str, charts: Charts, figures: str | None, form: str, output: str | None
) -> int:
    from reports.page.sweep_page import sweep_page

    page = sweep_page(analysis, source, command)
    if figures:
        from reports.page.images import write_figures

        for message in write_figures(page, Path(figures)):
            print_message(message)
    if form == "md":
        from reports.sweeps.markdown import summary

        write(summary(analysis), output)
    else:
        from reports.page.write import html

        write(html(page, charts), output or OUTPUT)
    return 0


def _command(source: str, where: str | None, accuracy: str | None, cost: str | None, axes: tuple[str, ...]) -> str:
    """The command without the store, whose URL may have a password."""
    options = (("--where", where), ("--accuracy", accuracy), ("--cost", cost), ("--axes", ",".join(axes)))
    words = [word for option, value in options if value for word in (option, value)]
    return shlex.join(map(one_line, ["analyze", "report", "--from", source, *words]))
