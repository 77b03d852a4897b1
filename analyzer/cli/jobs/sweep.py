"""`analyze sweep`: runs a grid or lists it, and shows the run's results."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.cli.messages import print_message
from analyzer.cli.model_arguments import sort_models, split_names
from analyzer.cli.output import emit
from analyzer.core.errors import AnalyzerError, quoted
from analyzer.core.signals import termination_as_interrupt
from analyzer.core.units import METRICS
from analyzer.records.sweep_result import Case
from analyzer.sweeps.api import settings_of
from analyzer.sweeps.grid import AXES, Grid, cases
from analyzer.sweeps.grid_file import Locate, nowhere, parse_grid, read_toml
from analyzer.sweeps.run_configuration import machine_memory

if TYPE_CHECKING:
    from analyzer.sweeps.estimate import Estimate
    from analyzer.sweeps.run_sweep import Outcome, Settings

REMARK = "Times are medians of a pass."


def run(
    arguments: Sequence[str],
    *,
    dry_run: bool,
    store: str | None,
    form: str,
    output: str | None,
    retries: int,
    timeout_s: float,
    memory_gb: float | None,
    jobs: int | None,
    keep_going: bool,
    resume: bool,
    cluster: str | None,
    **grid_options: Any,
) -> int:
    """Returns 0, 3 if a configuration failed, or 130 if interrupted; what was measured is stored and shown."""
    grid = _grid(arguments, grid_options)
    chosen = cases(grid)
    settings = settings_of(
        resume=resume, keep_going=keep_going, retries=retries, timeout_s=timeout_s, jobs=jobs, cluster=cluster,
        memory_bytes=None if memory_gb is None else round(memory_gb * 1e9),
    )  # fmt: skip
    if dry_run:
        for option, given in (
            ("--resume", resume),
            ("--keep-going", keep_going),
            ("--store", store),
            ("--cluster", cluster),
        ):
            if given:
                raise AnalyzerError(
                    f"{option} has no effect with --dry-run, which runs nothing; leave out one of the two"
                )
        return _list(chosen, grid, settings, form, output)
    return _sweep(chosen, settings, store, form, output)


def _grid(arguments: Sequence[str], options: Mapping[str, Any]) -> Grid:
    """The grid of a file, in which options take the place of its keys, or of options alone."""
    names = split_names(arguments, "the model")
    files = [name for name in names if name.lower().endswith(".toml")]
    if len(files) > 1:
        raise AnalyzerError(f"two grids are given, {quoted(files[0])} and {quoted(files[1])}; give one")
    data, locate = read_toml(files[0]) if files else ({}, nowhere)
    models = [name for name in names if name not in files]
    sort_models([name for name in models if "*" not in name])  # Raises the error for an unknown name.
    given = _data(models, options)

    def locate_unless_given(table: str, number: int, key: str) -> str:
        return "" if (table.partition(".")[0] or key) in given else locate(table, number, key)

    locate_key: Locate = locate_unless_given
    return parse_grid({**data, **given}, locate_key)


def _data(models: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a grid's file that options give."""
    lists: dict[str, Any] = {
        "models": list(models),
        "input": list(options["inputs"]),
        "set": _pairs(options["settings"], "--set", "inception_4a.reduce_5x5=8..64:8"),
        "needs": _pairs(options["needs"], "--needs", "gpu=H100"),
        "include": [_entry(text, "--include") for text in options["includes"]],
        "exclude": [_entry(text, "--exclude") for text in options["excludes"]],
    }
    single = {key: options[key] for key in (*AXES, "measure", "budget", "processes") if options[key] is not None}
    return {key: value for key, value in lists.items() if value} | single


def _pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise AnalyzerError(f"malformed {option} {quoted(text)}; wanted KEY=VALUE, such as {example}")
        if key.strip() in pairs:
            raise AnalyzerError(f"{option} gives {quoted(key.strip())} twice; separate its values by commas")
        pairs[key.strip()] = value.strip()
    return pairs


def _entry(text: str, option: str) -> dict[str, Any]:
    """`model=vgg*,batch=8,16` → a table of the file; a part without `=` continues the values before it."""
    parts: list[str] = []
    for part in text.split(","):
        if "=" in part or not parts:
            parts.append(part)
        else:
            parts[-1] += f",{part}"
    entry: dict[str, Any] = _pairs(parts, option, "model=alexnet,batch=64")
    numbers = {key: entry.pop(key) for key in list(entry) if "." in key}
    return {**entry, "set": numbers} if numbers else entry


def _sweep(chosen: Sequence[Case], settings: Settings, store: str | None, form: str, output: str | None) -> int:
    from analyzer.cli.progress import progress_bar
    from analyzer.database.store import open_store
    from analyzer.sweeps.run_sweep import rows_of, run_sweep

    with open_store(store) as opened:
        with termination_as_interrupt(), progress_bar("sweep") as progress:
            outcome = run_sweep(chosen, opened, settings, notify=print_message, progress=progress)
        rows = rows_of(outcome, opened)
    failed = sum(row["status"] == "failed" for row in rows)
    if outcome.before:
        print_message(
            f"{outcome.before:,} of {len(outcome.keys):,} configurations were stored before, in run {outcome.run}"
        )
    _show(rows, outcome, opened.name if store else None, form, output)
    if not outcome.complete:
        left = len(outcome.keys) - len(rows)
        print_message(f"interrupted: {len(rows):,} results are stored, {left:,} are left; --resume continues the sweep")
        return 130
    return 3 if failed else 0


def _show(
    rows: Sequence[Mapping[str, Any]], outcome: Outcome, store: str | None, form: str, output: str | None
) -> None:
    from reports.sweeps.run_tables import run_csv, run_json, run_tables

    run, total = outcome.run, f"{len(outcome.keys):,} configurations"
    title = f"Sweep of {total}" if outcome.complete else f"Sweep, interrupted: {len(rows):,} of {total}"
    timed = any(row["time_s"] is not None for row in rows)
    place = f" --store {shlex.quote(store)}" if store else ""
    report = f"Report: analyze report --from history --where 'run == \"{run}\"'{place}"
    notes = [*([REMARK] if timed else []), report]
    emit(
        form, output, lambda: run_tables(rows, title, notes), untrusted=True,
        json=lambda: run_json(rows, run, complete=outcome.complete), csv=lambda: run_csv(rows),
    )  # fmt: skip


def _list(chosen: Sequence[Case], grid: Grid, settings: Settings, form: str, output: str | None) -> int:
    """Counts without storing anything, and shows the configurations."""
    from analyzer.cli.progress import progress_bar
    from analyzer.sweeps.estimate import estimates
    from reports.sweeps.run_tables import dry_run_csv, dry_run_json, dry_run_tables

    start = time.monotonic()
    with termination_as_interrupt(), progress_bar("counting") as progress:
        estimated = estimates(chosen, limits=settings.limits, processes=settings.processes, progress=progress)
    counting = f"Counting took {_duration(time.monotonic() - start)} in up to {settings.processes} processes."
    notes = [*_totals(chosen, estimated, grid), counting]
    emit(
        form, output, lambda: dry_run_tables(estimated, f"{len(chosen):,} configurations", notes), untrusted=True,
        json=lambda: dry_run_json(estimated), csv=lambda: dry_run_csv(estimated),
    )  # fmt: skip
    return 0


def _totals(chosen: Sequence[Case], estimated: Sequence[Estimate], grid: Grid) -> list[str]:
    """The notes below the list: the whole work, its largest configuration and what is missing for bounds."""
    macs = sum(estimate.macs or 0 for estimate in estimated)
    notes = [f"In total {METRICS['macs'].text(macs)} MACs in one pass of each configuration."]
    if grid.timed:
        sampling_s = sum(case.budget_s for case in chosen)
        processes = sum(case.processes for case in chosen)
        notes.append(f"Sampling takes at most {_duration(sampling_s)}, and {processes:,} processes start.")
        bounds = [estimate.at_least_s for estimate in estimated]
        if not all(bounds):
            notes.append("Bounds are for inference, and need peaks of `analyze machine` for the threads and dtype.")
    memory, largest = machine_memory(), max((estimate.peak_memory or 0 for estimate in estimated), default=0)
    if memory and largest > memory:
        count = sum((estimate.peak_memory or 0) > memory for estimate in estimated)
        text = METRICS["peak_memory"].text
        notes.append(f"{count:,} need more than this machine's {text(memory)}, at most {text(largest)}.")
    return notes


def _duration(value_s: float) -> str:
    """Rounded for people: `1.5 s`, `40 s`, `12 min`, `3.5 h`."""
    if value_s < 10:
        return f"{value_s:.1f} s"
    if value_s < 120:
        return f"{value_s:.0f} s"
    return f"{value_s / 60:.0f} min" if value_s < 7200 else f"{value_s / 3600:.1f} h"
