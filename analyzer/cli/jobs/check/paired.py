"""The job of `analyze check --base`: two states side by side → pairs → verdicts → outputs."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from analyzer.cli.jobs.check.output import Telling, tell
from analyzer.cli.messages import print_message
from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line, quoted
from analyzer.core.signals import ended_as_interrupted
from analyzer.regression import config
from analyzer.regression.counts.candidates import distinct
from analyzer.regression.paired import lock
from analyzer.regression.paired import worktree as trees
from analyzer.regression.paired.measure import Gathered, Sides, confirm, gather
from analyzer.regression.paired.result import Times, exit_status, judged, suspected, verdicts
from analyzer.regression.paired.sequential_test import Rules
from analyzer.regression.paired.side_process import Place, started
from reports.regression import counts as gate
from reports.regression import paired as gate_time
from reports.regression import paired_formats as outputs


def run(
    *,
    names: Sequence[str],
    references: Sequence[str],
    base: str | None,
    base_python: str | None,
    self_test: bool,
    device: str,
    budget_s: float,
    strict: bool,
    junit_file: str | None,
    form: str,
    output: str | None,
) -> int:
    """Returns the exit status: 1 regressed, 3 not measured on both sides, 4 unclear under `strict`."""
    _possible()
    settings = config.read()
    models = _models(settings, names, references)
    rules = Rules(settings.time_tolerance, settings.time_limit, models=len(models))
    with ended_as_interrupted(), lock.alone(lock.place(), print_message), ExitStack() as stack:
        here = _offset(settings.root) if names or references else Path()
        places, notes, shown = _places(stack, settings.root, here, base, base_python, self_test=self_test)
        places = tuple(place.replace(device=device) for place in places)
        sides = stack.enter_context(closing(Sides(lambda: started(places))))
        found, again = _measured(sides, models, rules, budget_s, self_test=self_test)
    suspects = suspected(found, rules)
    timed = tuple(
        judged(model, first, again.get(model), rules, suspect=model in suspects) for model, first in found.items()
    )
    times = Times(*shown, rules, budget_s, timed, self_test, notes, device)
    for note in notes:
        print_message(note)
    for one in timed:
        for line in one.first.lost:
            print_message(f"{one.model}: {line}")
    telling = Telling(
        json=partial(outputs.json, times),
        xml=partial(outputs.xml, times),
        markdown=lambda limit: outputs.markdown(times),
        tables=partial(gate_time.tables, times),
        sheet=partial(gate.sheet, verdicts(times), gate.TIMED),
        commands=partial(outputs.commands, times),
    )
    return tell(telling, exit_status(times, strict=strict), junit_file=junit_file, form=form, output=output)


def _possible() -> None:
    if not hasattr(os, "fork"):
        raise CannotMeasure("the time gate forks fresh processes, which this system cannot; use Linux or macOS")
    if find_spec("scipy") is None:
        raise CannotMeasure("the time gate needs scipy; pip install 'macscope[check]'")


def _models(settings: config.Config, names: Sequence[str], references: Sequence[str]) -> list[str]:
    chosen = [*names, *references] or list(settings.models)
    if not chosen:
        raise AnalyzerError(
            f'nothing to time: set models = ["NAME", …] under {config.TABLE} in pyproject.toml, '
            "or give --variant NAME or --model REF"
        )
    once, again = distinct(chosen)
    for name in again:
        print_message(f"{name} is named twice; it is timed once")
    return once


def _offset(root: Path) -> Path:
    """Where in the project we are: a file named on the command line is looked for from there, on both sides."""
    here = Path.cwd().resolve()
    return here.relative_to(root) if here.is_relative_to(root) else Path()


def _places(
    stack: ExitStack, root: Path, here: Path, base: str | None, base_python: str | None, *, self_test: bool
) -> tuple[tuple[Place, ...], tuple[str, ...], tuple[str, str]]:
    """Both sides, what must be said of them, and what a person calls them."""
    python = _python(base_python) if base_python else sys.executable
    notes = []
    if changed := trees.dirty(root):
        notes.append(f"the working tree has {changed} change{'s' if changed > 1 else ''} that no commit has; "
                     "head is timed with them")  # fmt: skip
    tree, named = root, "this tree"
    if base is not None:
        tree, commit = stack.enter_context(trees.worktree(root, base))
        named = base if commit.startswith(base) else f"{base} ({commit})"
    shown = one_line(named + (f" under {base_python}" if base_python else ""))
    first = Place("base", tree, tree / here, python, apart=str(root) if tree != root else "")
    if self_test:
        return (first, first.replace(name="head")), (), (shown, shown)
    return (first, Place("head", root, root / here)), tuple(notes), (shown, "this tree")


def _python(named: str) -> str:
    """Absolute, links kept: an environment's Python is a link, and is that environment only by its own name."""
    found = shutil.which(named)
    if found is None:
        raise CannotMeasure(f"there is no Python {quoted(named)} that runs; give the path of one with --base-python")
    return str(Path(found).absolute())


def _measured(
    sides: Sides, models: Sequence[str], rules: Rules, budget_s: float, *, self_test: bool
) -> tuple[dict[str, Gathered], dict[str, Gathered]]:
    """Every model once; then those that grew a second time."""
    from analyzer.cli.progress import progress_bar

    order = random.Random()
    with progress_bar("timing") as told:

        def taken(model: str, done: int, what: str, *, again: bool = False) -> Gathered:
            def tell(count: int) -> None:
                told(done, len(models), f"{what} {model}, {count} pairs")

            settings: dict[str, Any] = {"budget_s": budget_s, "order": order, "tell": tell}
            pair = (model, model)
            return confirm(sides, pair, rules, **settings) if again else gather(
                sides, pair, rules, early=not self_test, **settings
            )  # fmt: skip

        found = {model: taken(model, done, "timing") for done, model in enumerate(models)}
        suspects = [] if self_test else [model for model in models if model in suspected(found, rules)]
        return found, {model: taken(model, len(models), "confirming", again=True) for model in suspects}
