"""`analyze check --base`: times base and head of the project in pairs of processes."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from analyzer.cli.jobs.check.counts import select_names
from analyzer.cli.jobs.check.output import OutputOptions, emit
from analyzer.cli.messages import print_message
from analyzer.cli.output import spinner
from analyzer.cli.selection import Selection
from analyzer.core import lock
from analyzer.core.errors import CannotMeasure, one_line, quoted
from analyzer.core.parse_inputs import parse_input
from analyzer.core.signals import termination_as_interrupt
from analyzer.core.units import counted
from analyzer.regression import config
from analyzer.regression.counts.check_all_models import snapshots
from analyzer.regression.counts.compare_with_baseline import compare
from analyzer.regression.counts.models_to_check import count_candidate
from analyzer.regression.outcome import ModelCheck
from analyzer.regression.paired import base_commit, worktree
from analyzer.regression.paired.changed_modules import ModuleTime, changed_modules, measure_modules
from analyzer.regression.paired.collect_pairs import (
    PairSample,
    ProcessPair,
    collect_confirmation,
    collect_pairs,
    corrected_levels,
    is_confirmed,
    suspected_regressions,
)
from analyzer.regression.paired.one_pair import Pair, measure_pair
from analyzer.regression.paired.pair_server_client import Side, SideFailed, WorkerLost, start_sides
from analyzer.regression.paired.sequential_test import Rules
from analyzer.regression.paired.time_result import TimeResult, check_times
from analyzer.regression.tolerances import TIME

COUNT_LIMIT_S = 120.0
PILOT_S = 60.0  # The default time per model, after which an automatic budget estimates what is needed.


def check_paired_times(
    selection: Selection,
    output: OutputOptions,
    *,
    base: str | None,
    base_python: str | None,
    self_test: bool,
    device: str,
    budget_s: float | None,
) -> int:
    """Returns the exit status: 1 regressed, 3 not timed on both sides, 4 inconclusive under `--strict`.

    `budget_s` is the time per model; None extends it until the outcome is decided.
    """
    _require_fork_and_scipy()
    settings = config.read()
    models = select_names(settings, selection, "time")
    tolerances = {model: settings.tolerance.of(model, TIME) for model in models}
    rules = Rules(settings.time_tolerance, settings.time_limit, models=len(models), tolerances=tolerances)
    with termination_as_interrupt(), ExitStack() as stack:
        offset = _offset(settings.root) if selection else Path()
        sides, notes, names = _sides(stack, settings.root, offset, base, base_python, device, self_test=self_test)
        stack.enter_context(lock.timing_lock(notify=print_message))  # A bad base is refused without waiting.
        processes = stack.enter_context(closing(ProcessPair(lambda: start_sides(sides))))
        inputs = {model: settings.input_of(model) for model in models}
        samples, confirmations = _collect(processes, models, inputs, rules, budget_s, self_test=self_test)
        slower = [model for model, sample in confirmations.items() if is_confirmed(sample, rules.of(model))]
        modules = {}
        if sides[0].root != sides[1].root and device == "cpu":
            modules = {model: _changed_modules(processes, model, inputs[model]) for model in slower}
        with spinner("counting what changed", when=bool(slower)):
            counts = {
                model: _compare_counts(model, inputs[model], sides)
                for model in slower
                if sides[0].root != sides[1].root
            }
    suspects, levels = suspected_regressions(samples, rules), corrected_levels(samples, rules)
    checks = tuple(
        check_times(
            model, device, sample, confirmations.get(model), rules.of(model), suspected=model in suspects,
            level=levels.get(model),
        ).replace(counts=counts.get(model), modules=modules.get(model, ()))
        for model, sample in samples.items()
    )  # fmt: skip
    for note in notes:
        print_message(note)
    for check in checks:
        for line in check.sample.lost:
            print_message(f"{check.model}: {line}")
    base_name, head_name = names
    result = TimeResult(
        checks, base=base_name, head=head_name, rules=rules, budget_s=budget_s or PILOT_S, self_test=self_test,
        notes=notes, device=device,
    )  # fmt: skip
    return emit(result, output)


def _require_fork_and_scipy() -> None:
    if not hasattr(os, "fork"):
        raise CannotMeasure("a time check forks processes, which this system cannot; use Linux or macOS")
    if find_spec("scipy") is None:
        raise CannotMeasure("a time check needs scipy, which is not installed; pip install scipy")


def _offset(root: Path) -> Path:
    """The current folder within the project: on both sides, a file named on the command line is relative to it."""
    current = Path.cwd().resolve()
    return current.relative_to(root) if current.is_relative_to(root) else Path()


def _sides(
    stack: ExitStack,
    root: Path,
    offset: Path,
    base: str | None,
    base_python: str | None,
    device: str,
    *,
    self_test: bool,
) -> tuple[tuple[Side, Side], tuple[str, ...], tuple[str, str]]:
    """Base and head, notes about them, and their names as shown to the user."""
    python = _absolute_python(base_python) if base_python else sys.executable
    notes = []
    if changed := worktree.uncommitted_files(root):
        notes.append(f"the working tree has {counted(changed, 'uncommitted change')}; head is timed with them")
    tree, name = root, "this tree"
    if base is not None:
        worktree.require_repository(root)
        if base == base_commit.AUTO:
            base = base_commit.find_base(root, os.environ)
        elif note := base_commit.ancestry_note(root, base):
            notes.append(note)
        tree, commit = stack.enter_context(worktree.worktree(root, base))
        name = base if commit.startswith(base) else f"{base} ({commit})"
    name = one_line(name + (f" under {base_python}" if base_python else ""))
    first = Side("base", tree, tree / offset, python, str(root) if tree != root else "", device=device)
    if self_test:
        return (first, first.replace(name="head")), (), (name, name)
    return (first, Side("head", root, root / offset, device=device)), tuple(notes), (name, "this tree")


def _absolute_python(name: str) -> str:
    """The absolute path, without resolving links: an environment's Python is a link and works only by its own name."""
    path = shutil.which(name)
    if path is None:
        raise CannotMeasure(f"Python {quoted(name)} is not found or not executable; give its path with --base-python")
    return str(Path(path).absolute())


def _compare_counts(model: str, given: config.ModelInput, sides: tuple[Side, Side]) -> ModelCheck | None:
    """What a slower model has more of; None if a side cannot be counted, which says nothing about its time."""
    candidates = [
        count_candidate(
            model, side.folder or side.root, limit_s=COUNT_LIMIT_S, inputs=given.texts, batch=given.batch
        )
        for side in sides
    ]  # fmt: skip
    before, after = (snapshots(candidate).get("inference") for candidate in candidates)
    return compare(model, "inference", before, after) if before and after else None


def _changed_modules(processes: ProcessPair, model: str, given: config.ModelInput) -> tuple[ModuleTime, ...]:
    """The modules whose own time changed; none if they cannot be timed, which says nothing about the model's time."""
    inputs = list(map(parse_input, given.texts))
    try:
        with spinner(f"timing the modules of {one_line(model)}", when=True):
            return changed_modules(
                measure_modules(
                    processes.get(), model, random.Random(), inputs=inputs, batch=given.batch, imports=processes.imports
                )
            )
    except (WorkerLost, SideFailed):
        processes.close()
        return ()


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _collect(
    processes: ProcessPair,
    models: Sequence[str],
    inputs: Mapping[str, config.ModelInput],
    rules: Rules,
    budget_s: float | None,
    *,
    self_test: bool,
) -> tuple[dict[str, PairSample], dict[str, PairSample]]:
    """A sample of every model, and a second one of each model that grew."""
    from analyzer.cli.progress import progress_bar

    def extend(model: str, action: str, pairs: int, seconds: float) -> None:
        print_message(f"{model}: {action} takes about {_minutes(seconds)}, {pairs} pairs")

    def extension(model: str, action: str) -> Callable[[int, float], None] | None:
        return partial(extend, model, action) if budget_s is None else None

    def measure(model: str) -> Callable[..., Pair]:
        given = inputs[model]
        return partial(measure_pair, inputs=list(map(parse_input, given.texts)), batch=given.batch)

    rng = random.Random()
    samples: dict[str, PairSample] = {}
    confirmations: dict[str, PairSample] = {}
    with progress_bar("timing") as report:
        for done, model in enumerate(models):
            samples[model] = collect_pairs(
                processes, (model, model), rules.of(model), budget_s=budget_s or PILOT_S, rng=rng, early=not self_test,
                measure=measure(model),
                extend=extension(model, "a decision"),
                progress=lambda count, done=done, model=model: report(  # type: ignore[misc]
                    done, len(models), f"timing {model}, {count} pairs"
                ),
            )  # fmt: skip
        suspects = set() if self_test else suspected_regressions(samples, rules)
        for model in suspects:
            confirmations[model] = collect_confirmation(
                processes, (model, model), rules.of(model), budget_s=budget_s or PILOT_S, rng=rng,
                measure=measure(model),
                extend=extension(model, "a confirmation"),
                progress=lambda count, model=model: report(
                    len(models), len(models), f"confirming {model}, {count} pairs"
                ),
            )  # fmt: skip
    return samples, confirmations
