"""What is checked: the models that a project or a command line names, each counted in both modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.frozen import Frozen
from analyzer.counting.api import count_variant, reference_counter
from analyzer.networks import GROUP, VARIANTS
from analyzer.networks.variants import is_reference, variants
from analyzer.records.record import Record
from analyzer.regression.counts.gate import MODES


class Candidate(Frozen):
    """A model as it was named, with the record of each mode in which it could be counted, or the error instead.

    `notes` say what a reader must know of the counts, such as why there is none of a training pass.
    """

    model: str
    records: Mapping[str, Record] = {}
    error: AnalyzerError | None = None
    notes: tuple[str, ...] = ()


def runs_code(name: str) -> bool:
    """Whether a name is a reference, which needs torch and runs the code it names; a variant does neither.

    Raises AnalyzerError for a name that is neither.
    """
    if is_reference(name):
        return True
    base = name.partition("@")[0]
    if base in VARIANTS:
        return False
    from importlib.metadata import entry_points

    networks = {point.name for point in entry_points(group=GROUP)}
    models = {point.name for point in entry_points(group="analyzer.models")}
    if base in networks:
        return False
    if name in models:
        return True
    raise AnalyzerError(
        f"unknown model {quoted(name)}; {nearest(base, [*VARIANTS, *networks, *models])}; "
        "or a reference such as FILE.py:NAME"
    )


def counted(name: str, root: Path, *, variant: bool = False) -> Candidate:
    """Counts one model, and keeps what went wrong as its error. A file is looked for from `root`."""
    try:
        if not variant and runs_code(name):
            with chdir(root):
                return _reference(name)
        return _variant(name)
    except AnalyzerError as error:
        return Candidate(name, error=error)


def _variant(name: str) -> Candidate:
    (chosen,) = variants([name])
    passes = ((mode, mode == "training") for mode in MODES)
    # Peak memory is closed form at inference only; in training it would take torch.
    return Candidate(
        name, {mode: count_variant(chosen, train=train, memory=not train).replace(model=name) for mode, train in passes}
    )


def _reference(name: str) -> Candidate:
    try:
        count: Callable[..., Any] = reference_counter(name)
        record = count(train=False, memory=True)
    except AnalyzerError as error:
        if "--input" not in str(error):
            raise
        raise AnalyzerError(
            f"{str(error).partition('; give its input')[0]}; a check takes the inputs of the function "
            "NAME_inputs, or inputs, beside the model"
        ) from error
    records, notes = {"inference": record}, record.notes
    try:
        records["training"] = count(train=True)
        notes = (*notes, *records["training"].notes)
    except AnalyzerError as error:
        notes = (*notes, f"not counted in training: {error}")
    return Candidate(name, records, notes=tuple(dict.fromkeys(notes)))


def distinct(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names, each once, and those that came again."""
    once = list(dict.fromkeys(names))
    return once, [name for name in once if names.count(name) > 1]
