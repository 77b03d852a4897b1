"""The job of `analyze history`: reads all runs, finds changes, and shows them. It fails only with `--fail-on-new`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, render
from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.files import project_root
from analyzer.core.units import counted
from analyzer.trends import known_changes
from analyzer.trends.change_points import History, Trend, find_trend, without_explained
from analyzer.trends.other_programs import find_files, read_runs
from analyzer.trends.pytest_benchmark import store_run
from analyzer.trends.run_cache import read_points, rebuild_cache
from analyzer.trends.series import Series, build_series

MAX_LINES = 10  # GitHub shows ten errors per step.
NO_RUNS = "no runs yet; run analyze time, or import runs of pytest-benchmark with --import"


def show_history(
    *,
    model: str | None,
    metric: str,
    reference: str | None,
    imports: Sequence[str],
    rebuild: bool,
    fail_on_new: bool,
    acknowledge: bool,
    known_file: str | None,
    form: str,
    output: str | None,
) -> int:
    """Returns 1 for growth that is not known, with `fail_on_new`; else 0.

    Raises AnalyzerError for an unknown model or an unusable file.
    """
    root = project_root()
    for path in imports:
        _import(Path(path), root)
    loaded = rebuild_cache(root) if rebuild else read_points(root)
    for note in loaded.notes:
        print_message(note)
    runs = len({point.run for point in loaded.points})
    if rebuild:
        print_message(f"recreated the cache: {runs} runs")
    models = {point.model for point in loaded.points}
    for name in (model, reference):
        if name is not None and name not in models:
            raise AnalyzerError(f"no runs of {quoted(name)}; {nearest(name, models)}")
    known_path = root / known_changes.FILE if known_file is None else Path(known_file)
    known = known_changes.read_known(known_path)
    trends = tuple(
        trend.replace(new=known_changes.new_changes(trend, known))
        for trend in find_trends(build_series(loaded.points, metric, model, reference))
    )
    if not trends:
        print_message(f"no run has the metric {metric}; number of runs: {runs}" if runs else NO_RUNS)
    if trends and not any(trend.series.points for trend in trends):
        void = sum(trend.series.void for trend in trends)
        print_message(f"all times are void: {void} in {counted(runs, 'run')}; measure again on a quiet machine")
        if form == "table":
            return 0
    _emit(History(metric, trends, runs, loaded.notes), form, output)
    if acknowledge:
        known_changes.write_known(known_path, trends, known)
    return _report_growth(trends) if fail_on_new else 0


def _report_growth(trends: Sequence[Trend]) -> int:
    """Names growth that is not known on standard error and as annotations; 1 if there is any."""
    from reports.history import describe
    from reports.regression.workflow_commands import command, in_actions

    lines = [
        (trend.series.model, describe(trend, change)) for trend in trends for change in trend.new if change.size > 0
    ]
    for model, line in lines[:MAX_LINES]:
        print_message(f"new: {model}: {line}")
        if in_actions(os.environ):
            print(command("error", f"{one_line(model)}: grew", line), file=sys.stderr)
    if len(lines) > MAX_LINES:
        print_message(f"new: {len(lines) - MAX_LINES} more changes")
    return 1 if lines else 0


def _emit(history: History, form: str, output: str | None) -> None:
    from reports.history import dump, points_sheet, tables

    emit(
        form, output, lambda: tables(history), untrusted=True,
        json=lambda: dump(history), csv=lambda: render([points_sheet(history)], form),
    )  # fmt: skip


def find_trends(series: Sequence[Series]) -> tuple[Trend, ...]:
    """Every series with its changes; without ruptures the series alone, and one message."""
    trends = without_explained(tuple(map(find_trend, series)))
    for reason in dict.fromkeys(trend.unsearched for trend in trends if trend.unsearched):
        print_message(reason)
    return trends


def _import(path: Path, root: Path) -> None:
    """Imports one file, or every run below a folder; there, files of other programs are left out with a message."""
    files = find_files(path)
    imported = known = 0
    for file in files:
        try:
            runs = read_runs(file)
        except AnalyzerError as error:
            if len(files) == 1:
                raise
            print_message(f"left out: {error}")
            continue
        for run in runs:
            _, is_new = store_run(run, root)
            imported, known = imported + is_new, known + (not is_new)
    message = f"imported {counted(imported, 'run')} of {one_line(path)}"
    print_message(message + (f"; {known} known already" if known else ""))
