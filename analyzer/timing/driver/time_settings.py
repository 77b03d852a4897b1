"""Times a model as it is and at other settings, interleaved, and then at the faster settings together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analyzer.core.errors import CannotMeasure
from analyzer.core.frozen import Frozen
from analyzer.records.record import Record
from analyzer.timing.driver.faster_settings import Setting, Trial, combined, trial
from analyzer.timing.driver.time_configurations import time_requests
from analyzer.timing.request import Request

PROCESSES = 3  # Per setting: an interval needs three, and each takes seconds to start.
FIRST_SHARE = 0.75  # Of the budget; the rest is left for the combination.


class TimedSettings(Frozen):
    """The model as it is, and what each setting gained. Not `complete` after an interrupt."""

    default: Record
    trials: tuple[Trial, ...]
    complete: bool


def time_settings(
    request: Request, settings: Sequence[Setting], *, budget_s: float, progress: Callable[[int, int, str], None]
) -> TimedSettings:
    """Raises CannotMeasure, or KeyboardInterrupt after an interrupt, if the model could not be measured as it is."""
    share = FIRST_SHARE * budget_s / (len(settings) + 1) / PROCESSES
    run = time_requests(
        [_at(request, setting, share) for setting in (None, *settings)], processes=PROCESSES, progress=progress
    )
    default, *others = run.records
    if default.measurement is None or default.measurement.pass_timing is None:
        if not run.complete:
            raise KeyboardInterrupt
        raise CannotMeasure(f"{default.label}: {default.measurement.reason if default.measurement else 'not timed'}")
    trials = [trial(setting, default, record) for setting, record in zip(settings, others, strict=True)]
    if run.complete and (together := combined(trials)):
        share = (1 - FIRST_SHARE) * budget_s / 2 / PROCESSES
        again = [_at(request, setting, share) for setting in (None, together)]
        trials.append(trial(together, *time_requests(again, processes=PROCESSES, progress=progress).records))
    return TimedSettings(default, tuple(trials), run.complete)


def _at(request: Request, setting: Setting | None, budget_s: float) -> Request:
    configuration = setting.of(request.configuration) if setting else request.configuration
    return request.replace(configuration=configuration, budget_s=budget_s)
