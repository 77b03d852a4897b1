"""The models to check, from the project's settings or the command line, each counted in both modes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

from analyzer.core.errors import AnalyzerError, InputError, nearest, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.inputs import LIBRARIES, is_reference
from analyzer.counting.api import count_variant
from analyzer.networks import GROUP, VARIANTS
from analyzer.networks.variants import variants
from analyzer.records.record import Record
from analyzer.regression.counts.snapshot import MODES


class Candidate(Frozen):
    """A model by its name, with a record for each mode in which it could be counted, or the error instead.

    `notes` concern the counts, such as why a model has none in training.
    """

    model: str
    records: Mapping[str, Record] = {}
    error: AnalyzerError | None = None
    notes: tuple[str, ...] = ()


def runs_code(name: str) -> bool:
    """Whether counting a model imports torch and runs the user's code: true for references, false for variants.

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


def count_candidate(name: str, root: Path, *, variant: bool = False, limit_s: float | None = None) -> Candidate:
    """Counts one model; an AnalyzerError becomes the candidate's error. A reference's file is relative to `root`, and
    its worker may take `limit_s` seconds."""
    try:
        if not variant and runs_code(name):
            with chdir(root):
                return _count_reference(name, limit_s)
        return _count_variant(name)
    except AnalyzerError as error:
        return Candidate(name, error=error)


def _count_variant(name: str) -> Candidate:
    (variant,) = variants([name])
    # Peak memory has a closed form at inference only; in training it would need torch.
    passes = {mode: count_variant(variant, train=mode == "training", memory=mode == "inference") for mode in MODES}
    return Candidate(name, {mode: record.replace(model=name) for mode, record in passes.items()})


def _inputs_advice(name: str) -> str:
    """How to give a reference other inputs; a check has no `--input`."""
    scheme, colon, attribute = name.rpartition(":")
    if not colon or scheme in LIBRARIES:
        return "a check takes inputs only for FILE.py:NAME and PACKAGE.MODULE:NAME"
    return f"define {'inputs' if '.' in attribute else f'{attribute}_inputs'}() next to the model"


def _count_reference(name: str, limit_s: float | None) -> Candidate:
    from analyzer.counting.references import count_passes

    try:
        counted, failure = count_passes(name, [(False, True), (True, False)], limit_s=limit_s)
    except InputError as error:
        raise error.with_advice(_inputs_advice(name)) from error
    records = dict(zip(MODES, counted, strict=False))
    notes = [note for record in counted for note in record.notes]
    if failure:
        notes.append(f"not counted in training: {failure}")
    return Candidate(name, records, notes=tuple(dict.fromkeys(notes)))
