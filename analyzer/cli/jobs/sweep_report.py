"""`analyze report --from`: reads stored results, analyses them, and writes the page or its tables."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, spinner, write
from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import read_or_refuse
from analyzer.core.frozen import Frozen

if TYPE_CHECKING:
    from analyzer.sweeps.analysis.analysis import Analysis
    from analyzer.sweeps.analysis.pareto import Cost
    from reports.page.context import Page
    from reports.page.write import Charts

OUTPUT = "analysis.html"
HISTORY = "history"


class Source(Frozen):
    """The stored results to report, and how: `--from` and the options that it has."""

    name: str
    where: str | None
    store: str | None
    accuracy: str | None
    cost: Cost | None
    axes: tuple[str, ...]

    def arguments(self) -> list[str]:
        """The command-line arguments without the store, whose URL may have a password."""
        options = (
            ("--from", self.name),
            ("--where", self.where),
            ("--accuracy", self.accuracy),
            ("--cost", self.cost),
            ("--axes", ",".join(self.axes)),
        )
        return [word for option, value in options if value for word in (option, value)]


def run_sweep_report(source: Source, *, charts: Charts, figures: str | None, form: str, output: str | None) -> int:
    """Returns 0. Raises AnalyzerError as `read_analysis`."""
    analysis = read_analysis(source)
    if form == "html" or figures:
        from reports.page.sweep_page import sweep_page

        command = shlex.join(map(one_line, ["analyze", "report", *source.arguments()]))
        page = sweep_page(analysis, source.name, command)
        if figures:
            write_figures(page, figures)
        if form == "html":
            from reports.page.write import html

            write(html(page, charts), output or OUTPUT)
            return 0
    from reports.sweeps.analysis_json_and_csv import dump, sheet
    from reports.sweeps.markdown import summary
    from reports.sweeps.tables import tables

    emit(
        form, output, lambda: tables(analysis), untrusted=True,
        json=lambda: dump(analysis), csv=lambda: sheet(analysis), md=lambda: summary(analysis),
    )  # fmt: skip
    return 0


def write_figures(page: Page, folder: str) -> None:
    """Writes each chart of a page to the folder."""
    from reports.page import images

    for message in images.write_figures(page, Path(folder)):
        print_message(message)


def read_analysis(source: Source) -> Analysis:
    """Raises AnalyzerError if there is no result to show, and for a bad filter, file or axis."""
    from analyzer.database.store import open_store
    from analyzer.sweeps.analysis.accuracy import parse_accuracy
    from analyzer.sweeps.analysis.analysis import analyze_points
    from analyzer.sweeps.analysis.points import row_point

    accuracy = None
    if source.accuracy:
        text = read_or_refuse(source.accuracy, "wanted a CSV file with model,accuracy")
        accuracy = parse_accuracy(text, source.accuracy)
    condition = _condition(source)
    with spinner("reading results", when=True), open_store(source.store, create=False) as opened:
        rows = opened.select(condition, whole=True, descending=False)
        points = filter(None, map(partial(opened.read_or_note, row_point), rows))
        analysis = analyze_points(points, accuracy=accuracy, first_cost=source.cost, axes=source.axes)
        notes = opened.notes
        if not analysis.points:
            raise AnalyzerError(_nothing(source, opened.name))
    for note in (*notes, *analysis.notes):
        print_message(note)
    return analysis


def _condition(source: Source) -> str | None:
    """The filter of `history` and of the runs of a grid's file, whose names end with the grid's key."""
    if source.name == HISTORY:
        return source.where
    name = one_line(source.name)
    if not source.name.lower().endswith(".toml"):
        raise AnalyzerError(f"--from {name} is neither history nor a grid's file GRID.toml; give one of them")
    from analyzer.database.filter_language import parse
    from analyzer.sweeps.api import read_grid
    from analyzer.sweeps.grid import cases
    from analyzer.sweeps.keys import grid_key

    if source.where:
        parse(source.where)  # So that an error tells the position in the user's text.
    runs = f'run ~ "*-{grid_key(cases(read_grid(source.name)))}"'
    return f"{runs} and ({source.where})" if source.where else runs


def _nothing(source: Source, store: str) -> str:
    name = one_line(source.name)
    if source.where:
        return f"--where {quoted(source.where)} selects no result of {name} in {store}"
    if source.name == HISTORY:
        return f"{store} has no results; run analyze sweep or analyze time first, or name a store with --store"
    return (
        f"no run of {name} is in {store}; run analyze sweep {name} first. With other options it was another grid: "
        "use --from history --where 'run == \"…\"' for it"
    )
