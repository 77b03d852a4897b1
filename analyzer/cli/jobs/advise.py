"""The job of `analyze advise`: times a model as it is and at other settings, interleaved, and ranks the settings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from math import isfinite

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.core.lock import timing_lock
from analyzer.core.signals import termination_as_interrupt
from analyzer.timing.driver.faster_settings import Trial, settings_to_try
from analyzer.timing.driver.time_configurations import build_requests, usable_processors
from analyzer.timing.driver.time_settings import PROCESSES, time_settings


def advise(selection: Selection, *, device: str, budget_s: float, form: str, output: str | None) -> int:
    """Returns 0, or 3 if the model could not be measured as it is. Raises AnalyzerError, KeyboardInterrupt."""
    from analyzer.cli.progress import progress_bar
    from reports import advise as report

    selection.require_models("time")
    if len(selection.variants) + len(selection.references) > 1:
        raise AnalyzerError("analyze advise takes one model; run it once for each")
    if not isfinite(budget_s):
        raise AnalyzerError(f"--budget {budget_s} is not a number of seconds")
    (request,) = build_requests(
        selection.resolve_variants(), selection.references, selection.inputs, batches=[selection.batch],
        training=selection.training, device=device, budget_s=1.0, processes=PROCESSES,
    )  # fmt: skip
    settings = settings_to_try(request.configuration, images=_has_images(selection), processors=usable_processors())
    with termination_as_interrupt(), timing_lock(device, print_message), progress_bar("timing") as progress:
        timed = time_settings(request, settings, budget_s=budget_s, progress=progress)
    command = shlex.join(["analyze", "time", *selection.arguments()])
    emit(
        form, output, lambda: report.tables(timed.default, timed.trials, command), untrusted=True,
        json=lambda: report.dump(timed.default, timed.trials, command),
    )  # fmt: skip
    if not timed.complete:
        return 130
    return 3 if _is_void(timed.trials) else 0


def _is_void(trials: Sequence[Trial]) -> bool:
    return all(trial.verdict in ("void", "failed") for trial in trials)


def _has_images(selection: Selection) -> bool:
    """Whether the first input has four dimensions with the batch; unknown inputs of a reference may have."""
    inputs = selection.parse_inputs()
    return not inputs or len(inputs[0].shape) >= 3
