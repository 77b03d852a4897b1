"""The job of `analyze check`: settings → counts → verdicts → outputs, and the baseline written last."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from analyzer.errors import AnalyzerError
from analyzer.files import write_text
from analyzer.output import discard, emit_tables, say, working, write
from analyzer.regression import actions, baseline, config, envelope, junit, markdown
from analyzer.regression.candidates import Candidate, counted, distinct, runs_code
from analyzer.regression.result import Result, exit_status, held, merged
from reports import gate


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
            say(f"{one.model}: {note}")
        if one.error:
            say(f"{one.model}: {one.error}")
            for line in one.error.details:
                print(line, file=sys.stderr)
    status = exit_status(result, strict=strict)
    if junit_file is not None:
        write_text(junit_file, junit.dump(result), advice="name another file with --junit")
    _tell_actions(result)
    try:
        _emit(result, form, output)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever read has read enough. A gate that fails does so all the same.
        if not status:
            raise
        discard(sys.stdout)
    return status


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
        say(f"{error.found}; it is written again")
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
        say(f"{name} is named twice; it is checked once")
    variant = dict(reversed(chosen))
    root = Path.cwd() if names or references else settings.root
    with working("counting", when=any(_runs_code(name) for name in once if not variant[name])):
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
    say(f"wrote {shown}" if changed else f"{shown} says so already")


def _tell_actions(result: Result) -> None:
    """Under GitHub Actions: annotations on standard error, which the runner reads too, and the summary page."""
    if not actions.active(os.environ):
        return
    for command in actions.commands(result):
        print(command, file=sys.stderr)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            actions.append_summary(result, path)
        except OSError as error:
            say(f"cannot write the job's summary: {error.strerror or error}")


def _emit(result: Result, form: str, output: str | None) -> None:
    """On standard output under Actions no name may be a command; a terminal's table is written as it is drawn."""
    bare = output in (None, "-") and actions.active(os.environ)
    if form == "table" and not bare:
        return emit_tables(gate.tables(result), form, output)
    text = _text(result, form)
    if bare:
        # In JSON the same sign can be written in another way.
        text = text.replace("##[", "#\\u0023[") if form == "json" else actions.inert(text)
    return write(text, output)


def _text(result: Result, form: str) -> str:
    if form == "json":
        return envelope.dump(result)
    if form == "junit":
        return junit.dump(result)
    if form == "md":
        return markdown.dump(result)
    page = io.StringIO()
    with redirect_stdout(page):
        emit_tables([gate.sheet(result)] if form == "csv" else gate.tables(result), form, None)
    return page.getvalue()
