"""The job of `analyze advise`: times a model as it is and at other settings, interleaved, and ranks the settings."""

from __future__ import annotations

import shlex
from math import isfinite

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.core.lock import timing_lock
from analyzer.core.signals import termination_as_interrupt
from analyzer.timing.driver.faster_settings import Setting, Trial, combined, settings_to_try, trial
from analyzer.timing.driver.time_configurations import build_requests, time_requests, usable_processors
from analyzer.timing.request import Request

PROCESSES = 3  # Per setting: an interval needs three, and each takes seconds to start.


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
        # A quarter of the budget is left for the combination.
        share = budget_s * 0.75 / (len(settings) + 1) / PROCESSES
        requests = [_at(request, setting, share) for setting in (None, *settings)]
        run = time_requests(requests, processes=PROCESSES, progress=progress)
        default, *others = run.records
        if default.measurement is None or default.measurement.pass_timing is None:
            if not run.complete:
                raise KeyboardInterrupt
            raise CannotMeasure(
                f"{default.label}: {default.measurement.reason if default.measurement else 'not timed'}"
            )
        trials = [trial(setting, default, record) for setting, record in zip(settings, others, strict=True)]
        if run.complete and (together := combined(trials)):
            again = [_at(request, setting, budget_s * 0.125 / PROCESSES) for setting in (None, together)]
            second = time_requests(again, processes=PROCESSES, progress=progress)
            trials.append(trial(together, *second.records))
    command = shlex.join(["analyze", "time", *selection.arguments()])
    emit(
        form, output, lambda: report.tables(default, trials, command), untrusted=True,
        json=lambda: report.dump(default, trials, command),
    )  # fmt: skip
    if not run.complete:
        return 130
    return 3 if _is_void(trials) else 0


def _at(request: Request, setting: Setting | None, budget_s: float) -> Request:
    configuration = setting.of(request.configuration) if setting else request.configuration
    return request.replace(configuration=configuration, budget_s=budget_s)


def _is_void(trials: list[Trial]) -> bool:
    return all(trial.verdict in ("void", "failed") for trial in trials)


def _has_images(selection: Selection) -> bool:
    """Whether the first input has four dimensions with the batch; unknown inputs of a reference may have."""
    inputs = selection.parse_inputs()
    return not inputs or len(inputs[0].shape) >= 3
