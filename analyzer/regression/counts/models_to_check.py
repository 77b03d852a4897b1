"""The models to check, from the project's settings or the command line, each counted in both modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path

from analyzer.core.errors import AnalyzerError, InputError, nearest, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import LIBRARIES, image_shape, is_reference, parse_input
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


def count_candidate(
    name: str,
    root: Path,
    *,
    variant: bool = False,
    limit_s: float | None = None,
    inputs: Sequence[str] = (),
    batch: int = 1,
) -> Candidate:
    """Counts one model; an AnalyzerError becomes the candidate's error. A reference's file is relative to `root`, and
    its worker may take `limit_s` seconds. `inputs` are texts as for `--input`."""
    try:
        if not variant and runs_code(name):
            with chdir(root):
                return _count_reference(name, limit_s, inputs, batch)
        return _count_variant(name, inputs, batch)
    except AnalyzerError as error:
        return Candidate(name, error=error)


def _count_variant(name: str, inputs: Sequence[str], batch: int) -> Candidate:
    (variant,) = variants([name])
    # Peak memory has a closed form at inference only; in training it would need torch.
    count = partial(count_variant, variant, input=image_shape(list(map(parse_input, inputs)), batch), batch=batch)
    passes = {mode: count(train=mode == "training", memory=mode == "inference") for mode in MODES}
    return Candidate(name, {mode: record.replace(model=name) for mode, record in passes.items()})


def _inputs_advice(name: str) -> str:
    """How to give a reference other inputs; a check has no `--input`."""
    scheme, colon, attribute = name.rpartition(":")
    if not colon or scheme in LIBRARIES:
        return "give it in the models of pyproject.toml: { model = …, input = … }"
    function = "inputs" if "." in attribute else f"{attribute}_inputs"
    return f"define {function}() next to the model, or give it in pyproject.toml: {{ model = …, input = … }}"


def _count_reference(name: str, limit_s: float | None, inputs: Sequence[str], batch: int) -> Candidate:
    from analyzer.counting.count_in_worker import Pass, count_passes

    try:
        passes: list[Pass] = [(False, True), (True, False)]
        counted, failure = count_passes(name, passes, inputs=inputs, batch=batch, limit_s=limit_s)
    except InputError as error:
        raise error.with_advice(_inputs_advice(name)) from error
    records = dict(zip(MODES, counted, strict=False))
    if name.endswith(".py"):  # The only model of a file has the same name as with it: `net.py` is `net.py:Net`.
        name = counted[0].model
    notes = [note for record in counted for note in record.notes]
    if failure:
        notes.append(f"not counted in training: {failure}")
    return Candidate(name, records, notes=tuple(dict.fromkeys(notes)))
