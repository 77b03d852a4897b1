"""`analyze check`: counts the project's models, compares them with the baseline, and with `--update` writes it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from analyzer.cli.jobs.check.output import OutputOptions, emit
from analyzer.cli.messages import print_error, print_message
from analyzer.cli.output import spinner
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.core.lock import exclusive
from analyzer.core.parse_inputs import PACKAGES
from analyzer.models.optional_libraries import matching_models
from analyzer.records.note import is_strict
from analyzer.regression import config
from analyzer.regression.counts import baseline_files, baseline_json
from analyzer.regression.counts.check_all_models import CountsResult, compare_all, updated_baseline
from analyzer.regression.counts.models_to_check import Candidate, count_candidate, runs_code
from analyzer.regression.outcome import exit_status
from analyzer.regression.tolerances import ANY, TABLE, Detail, Tolerances, parse_share


def check_counts(
    selection: Selection,
    output: OutputOptions,
    *,
    update: bool,
    resolve: bool,
    tolerance: float | None,
    file: str | None,
) -> int:
    """Returns the exit status: 1 regressed, 2 or 3 not counted or compared, 3 without a baseline under `--strict`.

    Models in `selection` replace the project's models. `resolve` is an update of a baseline in which git left
    conflicts: it shows what changed against our side.
    """
    if resolve and (update or selection):
        raise AnalyzerError("--resolve counts and writes all models; give it without --update and models")
    update = update or resolve
    settings = config.read()
    tolerances = settings.tolerance if tolerance is None else Tolerances({ANY: parse_share("--tolerance", tolerance)})
    all_models = not selection
    path, shown = (Path(file), file) if file is not None else (
        Path(os.path.relpath(settings.root / settings.baseline)), settings.baseline)  # fmt: skip
    before = (
        baseline_files.read_ours(path, shown)
        if resolve
        else _read_baseline(path, shown, replaceable=update and all_models)
    )
    candidates = _count_candidates(settings, selection)
    checks = compare_all(candidates, before, tolerances=tolerances, budgets=settings.budgets, all_models=all_models)
    result = CountsResult(checks, update, "", candidates, shown, before is not None, tolerances)
    if update:
        _update_baseline(path, shown, settings.detail, candidates, all_models=all_models)
    for candidate in candidates:
        for note in candidate.notes:
            refused = output.strict and is_strict(note)
            print_message(f"{candidate.model}: {'--strict: ' if refused else ''}{note}")
        if candidate.error:
            print_error(candidate.error, candidate.model)
    if output.strict and exit_status(result, strict=True) == 3 and not exit_status(result, strict=False):
        print_message("--strict: the baseline does not have every model")
    # Standard error already has the errors of models.
    without_errors = tuple(check.replace(reason="") if check.error else check for check in checks)
    return emit(result, output, on_terminal=result.replace(checks=without_errors))


def select_names(settings: config.Config, selection: Selection, action: str) -> list[str]:
    """The models to check, each once. Raises AnalyzerError if there is none; `action` is a verb such as "time"."""
    names = [*selection.variants, *selection.references] or list(settings.models)
    if not names:
        raise AnalyzerError(
            f'nothing to {action}: set models = ["NAME", …] under {TABLE} in pyproject.toml, '
            "or give a model, such as googlenet or net.py"
        )
    names = [match for name in names for match in matching_models(name)]
    unique = list(dict.fromkeys(names))
    for name in unique:
        if names.count(name) > 1:
            print_message(f"{name} is given twice; it is {action.removesuffix('e')}ed once")
    return unique


def _read_baseline(path: Path, shown: str, *, replaceable: bool) -> baseline_json.Baseline | None:
    """A damaged baseline, or one of an unknown version, does not prevent an update that replaces all of it."""
    try:
        return baseline_files.read(path, shown)
    except baseline_json.Unreadable as error:
        if not replaceable:
            raise
        print_message(f"{error.problem}; it is written again")
        return None


def _count_candidates(settings: config.Config, selection: Selection) -> tuple[Candidate, ...]:
    names = select_names(settings, selection, "check")
    root = Path.cwd() if selection else settings.root
    _preload_libraries(names)
    inputs = {name: settings.input_of(name) for name in names}
    with spinner("counting", when=any(_may_run_code(name) for name in names if name not in selection.variants)):
        return tuple(
            count_candidate(
                name,
                root,
                variant=name in selection.variants,
                limit_s=selection.timeout_s,
                inputs=inputs[name].texts,
                batch=inputs[name].batch,
            )
            for name in names
        )


def _preload_libraries(names: Sequence[str]) -> None:
    """A library of several models is imported once, by the server of the workers, and not by each worker."""
    schemes = Counter(name.partition(":")[0] for name in names)
    if packages := [package for scheme, package in PACKAGES.items() if schemes[scheme] > 1]:
        from analyzer.worker import client

        client.preload(packages)


def _may_run_code(name: str) -> bool:
    try:
        return runs_code(name)
    except AnalyzerError:
        return False  # Counting the candidate reports the error.


def _update_baseline(
    path: Path, shown: str, details: Mapping[str, Detail], candidates: Sequence[Candidate], *, all_models: bool
) -> None:
    """Writes the baseline; unless all models are written, changes of a concurrent update are kept."""
    # The folder is locked, so that no lock file is left in the repository; `write` reports a missing folder.
    folder = Path(os.path.realpath(path.parent))
    with exclusive(folder) if folder.is_dir() else nullcontext():
        current = _read_baseline(path, shown, replaceable=all_models)
        changed = baseline_files.write(
            path, shown, updated_baseline(candidates, current, all_models=all_models, details=details)
        )
    print_message(f"wrote {shown}" if changed else f"{shown} is up to date")
