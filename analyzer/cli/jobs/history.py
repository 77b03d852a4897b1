"""The job of `analyze history`: files → index → series → changes → tables. It annotates, and never fails a build."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit_tables, write
from analyzer.core.errors import AnalyzerError, CannotMeasure, nearest, one_line, quoted
from analyzer.core.files import project_root
from analyzer.history import index as database
from analyzer.history import pytest_benchmark as imported
from analyzer.history.change_points import changes
from analyzer.history.series import Series, series
from analyzer.history.trends import History, Trend

EMPTY = """No runs yet: analyze time keeps each of its runs under .analyze.
analyze history --import FILE takes those of pytest-benchmark."""


def run(
    *,
    model: str | None,
    metric: str,
    reference: str | None,
    imports: Sequence[str],
    rebuild: bool,
    form: str,
    output: str | None,
) -> int:
    """Returns 0, whatever the series show. Raises AnalyzerError for what was asked for and is not there."""
    root = project_root()
    for place in imports:
        _import(Path(place), root)
    found = database.rebuild(root) if rebuild else database.read(root)
    for note in found.notes:
        print_message(note)
    if rebuild:
        print_message(f"made the index again: {len({point.run for point in found.points})} runs")
    if model is not None or reference is not None:
        names = {point.model for point in found.points}
        for name in (model, reference):
            if name is not None and name not in names:
                raise AnalyzerError(f"no runs of {quoted(name)}; {nearest(name, names)}")
    trends = searched(series(found.points, metric, model, reference))
    _emit(History(metric, trends, len({point.run for point in found.points}), found.notes), form, output)
    return 0


def searched(found: Sequence[Series]) -> tuple[Trend, ...]:
    """Every series with its changes; without ruptures trends are shown all the same, and why is said once."""
    trends = []
    for one in found:
        try:
            trends.append(Trend(one, changes(one)))
        except CannotMeasure as error:
            trends.append(Trend(one, unsearched=str(error)))
    for reason in dict.fromkeys(trend.unsearched for trend in trends if trend.unsearched):
        print_message(reason)
    return tuple(trends)


def _import(place: Path, root: Path) -> None:
    """One file, or every run below a folder; there another's files are left out, and said."""
    files = imported.found(place)
    new = old = 0
    for path in files:
        try:
            found = imported.read(path)
        except AnalyzerError as error:
            if len(files) == 1:
                raise
            print_message(f"left out: {error}")
            continue
        _, fresh = imported.keep(found, root)
        new, old = new + fresh, old + (not fresh)
    print_message(f"imported {new} run{'s' if new != 1 else ''} of {one_line(place)}" + (f"; {old} known already" if old else ""))


def _emit(history: History, form: str, output: str | None) -> None:
    """Under Actions no name on standard output may be a command."""
    from reports.regression import annotations as actions

    if output not in (None, "-") or not actions.active(os.environ):
        return _write(history, form, output)
    page = io.StringIO()
    with redirect_stdout(page):
        _write(history, form, None)
    return write(actions.inert(page.getvalue(), form), None)


def _write(history: History, form: str, output: str | None) -> None:
    from reports import history as view

    if form == "json":
        return write(view.dump(history), output)
    if form == "csv":
        return emit_tables([view.sheet(history)], form, output)
    if not history.trends and form == "table":
        return write(f"{EMPTY if not history.runs else view.nothing(history)}\n", output)
    return emit_tables(view.tables(history), form, output)
