"""Parameters of models that got no input: what can be shown without one, and the option to add for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.core.serialize import to_json
from analyzer.records.parameters import ModuleParameters, NeedsInput
from analyzer.records.record_json import envelope
from analyzer.records.rows import SUMMED_KEYS

if TYPE_CHECKING:
    from reports.table import Table

KEYS = ModuleParameters.fields


def show_parameters(models: Sequence[NeedsInput], depth: int | None, fold: bool, form: str, output: str | None) -> int:
    """Shows the parameters of each model by module. Returns 0."""
    from reports.counting.parameters import default_depth, table

    for model in models:
        label = model.parameters.model
        print_message(f"{label}: {model.advice} for MACs, FLOPs, activations and memory traffic")

    def tables() -> list[Table]:
        known = [model.parameters for model in models]
        return [table(counted, depth or default_depth(counted, fold=fold), fold=fold) for counted in known]

    emit(
        form, output, tables,
        json=lambda: _dump(models), csv=lambda: _csv(models),
    )  # fmt: skip
    return 0


def _dump(models: Sequence[NeedsInput]) -> str:
    """An envelope without records; `missing` are the counts that need an input."""
    parameters = [
        {
            "model": model.parameters.model,
            "wanted_input": model.example,
            "totals": {key: getattr(model.parameters.total, key) for key in KEYS[2:]},
            "modules": to_json(model.parameters.rows),
        }
        for model in models
    ]
    missing = [key for key in SUMMED_KEYS if key != "params"]
    return envelope("ok", records=[], missing=missing, parameters=parameters)


def _csv(models: Sequence[NeedsInput]) -> str:
    from reports.formats.text import csv_text

    rows = [
        [model.parameters.model, *(getattr(module, key) for key in KEYS)]
        for model in models
        for module in model.parameters.rows
    ]
    return csv_text([["model", *KEYS], *rows])
