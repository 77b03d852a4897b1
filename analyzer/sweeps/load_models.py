"""Loads the models of a sweep before it starts, so that a wrong name or a broken file is reported first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.parse_inputs import image_shape, parse_input
from analyzer.networks import find
from analyzer.networks.walk import walk
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.keys import is_builtin
from analyzer.sweeps.run_configuration import Limits
from analyzer.sweeps.run_locally import GIVEN_UP, Job, run_local

Loaded: TypeAlias = tuple[str, tuple[str, ...]]  # What is loaded once: a model and its inputs.


def loaded(case: Case) -> Loaded:
    return case.model, case.inputs


def load_errors(
    jobs: Sequence[Job],
    *,
    run: str,
    retries: int,
    limits: Limits,
    processes: int,
    on_row: Callable[[Mapping[str, Any]], None],
    progress: Callable[[str], None],
) -> dict[Loaded, str]:
    """Why models do not load, tried with the first job of each model and its inputs.

    A built-in network is walked. A reference is counted in a worker; if the job wants no times, `on_row` receives its
    row.
    """
    first: dict[Loaded, Job] = {}
    for job in jobs:
        first.setdefault(loaded(job[1]), job)
    builtin = {key: job for key, job in first.items() if is_builtin(job[1].model)}
    errors = {key: error for key, (_, case) in builtin.items() if (error := _walk_error(case))}
    trials = {key: _untimed(case) for key, case in first.values() if not is_builtin(case.model)}
    whole = {key for key, case in first.values() if "time" not in case.measure}

    def keep(row: Mapping[str, Any]) -> None:
        if GIVEN_UP in row["reason"]:
            return  # Something else killed the worker; the job is tried again in its turn.
        if row["status"] == "failed":
            errors[loaded(trials[row["key"]])] = str(row["reason"])
        elif row["key"] in whole:
            on_row(row)

    run_local(
        list(trials.items()), run=run, retries=retries, limits=limits, processes=processes, on_row=keep,
        progress=lambda label: progress(f"loading {label}"),
    )  # fmt: skip
    return errors


def _untimed(case: Case) -> Case:
    if "time" not in case.measure:
        return case
    configuration = Configuration(batch=case.configuration.batch, mode=case.configuration.mode)
    return case.replace(measure=("counts",), configuration=configuration)


def _walk_error(case: Case) -> str:
    batch = case.configuration.batch
    try:
        walk(find(case.model), image_shape([parse_input(text) for text in case.inputs], batch), batch=batch)
    except AnalyzerError as error:
        return str(error)
    return ""


def load_error(errors: Mapping[Loaded, str], *, models: int) -> AnalyzerError:
    """The error that ends a sweep of so many models."""
    reasons = list(dict.fromkeys(errors.values()))
    advice = "; --keep-going runs the others" if len(errors) < models else ""
    if len(reasons) == 1:
        return AnalyzerError(f"{reasons[0]}{advice}")
    error = AnalyzerError(f"{len(errors)} of {models} models do not load{advice}")
    error.details = tuple(f"  {one_line(reason)}" for reason in reasons)
    return error
