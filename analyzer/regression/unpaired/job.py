"""The job of `analyze check FILE --against BASE`: two files of pytest-benchmark → verdicts → outputs."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from analyzer.errors import AnalyzerError, CannotMeasure, one_line, quoted
from analyzer.history import imported
from analyzer.regression import config
from analyzer.regression.paired.decide import Rules
from analyzer.regression.telling import Telling, tell
from analyzer.regression.unpaired import outputs
from analyzer.regression.unpaired.compare import compare, exit_status, verdicts
from reports import gate, gate_files


def run(*, head: str, base: str, strict: bool, junit_file: str | None, form: str, output: str | None) -> int:
    """Returns the exit status: 1 regressed, 3 of two machines, 4 unclear under `strict`."""
    files = compare(with_samples(base), with_samples(head), rules(), (one_line(base), one_line(head)))
    telling = Telling(
        json=partial(outputs.json, files),
        xml=partial(outputs.xml, files),
        markdown=partial(outputs.markdown, files),
        tables=partial(gate_files.tables, files),
        sheet=partial(gate.sheet, verdicts(files), gate.TIMED),
        commands=partial(outputs.commands, files),
    )
    return tell(telling, exit_status(files, strict=strict), junit_file=junit_file, form=form, output=output)


def rules() -> Rules:
    """The project's. Raises CannotMeasure where bounds cannot be computed."""
    if find_spec("scipy") is None:
        raise CannotMeasure("benchmarks are compared with scipy; pip install 'macscope[check]'")
    settings = config.read()
    return Rules(settings.time_tolerance, settings.time_limit)


def with_samples(path: str) -> imported.Run:
    """The run in a file. Raises AnalyzerError if it is none, or has no raw data."""
    found = imported.read(Path(path))
    if not found.benchmarks:
        raise AnalyzerError(f"{quoted(path)} has no benchmark; {imported.WANTED}")
    if bare := [one.name for one in found.benchmarks if not one.samples_s]:
        raise AnalyzerError(
            f"{quoted(path)} has no raw data of {quoted(bare[0])}; save it with --benchmark-save-data beside "
            "--benchmark-save or --benchmark-autosave, or with --benchmark-json, which always has it"
        )
    return found
