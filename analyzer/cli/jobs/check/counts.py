"""The job of `analyze check`: settings → counts → verdicts → outputs, and the baseline written last."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from analyzer.cli.jobs.check.output import Telling, tell
from analyzer.cli.messages import print_message
from analyzer.cli.output import spinner
from analyzer.core.errors import AnalyzerError
from analyzer.regression import config
from analyzer.regression.counts import baseline
from analyzer.regression.counts.candidates import Candidate, counted, distinct, runs_code
from analyzer.regression.counts.result import Result, exit_status, held, merged
from reports.regression import annotations as actions
from reports.regression import counts as gate
from reports.regression import json as envelope
from reports.regression import junit, markdown


def run(
    *,
    names: Sequence[str],
    references: Sequence[str],
    update: bool,
    tolerance: float | None,
    file: str | None,
    strict: bool,
    junit_file: str | None,
    form: str,
    output: str | None,
) -> int:
    """Returns the exit status of DESIGN: 1 regressed, 2 or 3 not counted or not comparable, 3 nothing to compare with.

    What is named on the command line stands in the place of the project's models.
    """
    settings = config.read()
    slack = settings.tolerance if tolerance is None else config.number("--tolerance", tolerance)
    whole = not (names or references)
    place, shown = _place(settings, file)
    before = _before(place, shown, replaceable=update and whole)
    candidates = _candidates(settings, names, references)
    exists = before is not None
    found = held(candidates, before, tolerance=slack, budgets=settings.budgets, whole=whole)
    result = Result(found, candidates, shown, exists, slack, update)
    if update:
        _update(place, shown, candidates, whole=whole)
    for one in candidates:
        for note in one.notes:
            print_message(f"{one.model}: {note}")
        if one.error:
            print_message(f"{one.model}: {one.error}")
            for line in one.error.details:
                print(line, file=sys.stderr)
    status = exit_status(result, strict=strict)
    if status == 3 and not exit_status(result, strict=False):
        print_message("--strict: not every model has figures in the baseline to be held against")
    telling = Telling(
        json=partial(envelope.dump, result),
        xml=partial(junit.dump, result),
        markdown=partial(markdown.dump, result),
        tables=partial(gate.tables, result),
        sheet=partial(gate.sheet, result.verdicts),
        commands=partial(actions.commands, result),
    )
    return tell(telling, status, junit_file=junit_file, form=form, output=output)


def _place(settings: config.Config, file: str | None) -> tuple[Path, str]:
    """Where the baseline is, and what a person calls it: from the project's folder, or as the command line says."""
    if file is not None:
        return Path(file), file
    return Path(os.path.relpath(settings.root / settings.baseline)), settings.baseline


def _before(place: Path, shown: str, *, replaceable: bool) -> baseline.Baseline | None:
    """The baseline as it is. One that is damaged or of another version is no obstacle to writing all of it again."""
    try:
        return baseline.read(place, shown)
    except baseline.Unreadable as error:
        if not replaceable:
            raise
        print_message(f"{error.found}; it is written again")
        return None


def _candidates(settings: config.Config, names: Sequence[str], references: Sequence[str]) -> tuple[Candidate, ...]:
    chosen = [(name, True) for name in names] + [(name, False) for name in references]
    if not chosen:
        chosen = [(name, False) for name in settings.models]
    if not chosen:
        raise AnalyzerError(
            f'nothing to check: set models = ["NAME", …] under {config.TABLE} in pyproject.toml, '
            "or give --variant NAME or --model REF"
        )
    once, again = distinct([name for name, _ in chosen])
    for name in again:
        print_message(f"{name} is named twice; it is checked once")
    variant = dict(reversed(chosen))
    root = Path.cwd() if names or references else settings.root
    with spinner("counting", when=any(_runs_code(name) for name in once if not variant[name])):
        return tuple(counted(name, root, variant=variant[name]) for name in once)


def _runs_code(name: str) -> bool:
    try:
        return runs_code(name)
    except AnalyzerError:
        return False  # It is said where the name is counted.


def _update(place: Path, shown: str, candidates: Sequence[Candidate], *, whole: bool) -> None:
    """Writes the baseline; what another update wrote in the meantime stays, unless all is written."""
    with baseline.alone(place):
        now = _before(place, shown, replaceable=whole)
        changed = baseline.write(place, merged(candidates, now, whole=whole))
    print_message(f"wrote {shown}" if changed else f"{shown} says so already")
