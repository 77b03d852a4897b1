"""Which requests `analyze advise` times, with times that are made up."""

from __future__ import annotations

import pytest

from analyzer.core.errors import CannotMeasure
from analyzer.timing.driver import time_settings as module
from analyzer.timing.driver.faster_settings import settings_to_try
from analyzer.timing.driver.time_configurations import TimedRun
from analyzer.timing.driver.time_settings import PROCESSES, time_settings
from analyzer.timing.request import Request
from tests.timing.driver.test_faster_settings import BASE, record

SETTINGS = settings_to_try(BASE, images=True, processors=4)
BUDGET_S = 60.0


@pytest.fixture
def timed(monkeypatch):
    """`timed(seconds, complete=True)`: the lists of requests that are timed, where `seconds(configuration)` is a
    pass."""

    def run(seconds, complete=True):
        calls = []

        def time_requests(requests, *, processes, progress):
            assert processes == PROCESSES
            calls.append(requests)
            configurations = [request.configuration for request in requests]
            return TimedRun(tuple(record(each, seconds(each)) for each in configurations), complete)

        monkeypatch.setattr(module, "time_requests", time_requests)
        result = time_settings(
            Request(BASE, variant="nin"), SETTINGS, budget_s=BUDGET_S, progress=lambda done, total, label: None
        )
        return result, calls

    return run


def pass_s(configuration):
    """Twice as fast in channels_last, 1.5 times with two threads; other settings change nothing."""
    slower = 1.0 if configuration.layout == "channels_last" else 2.0
    return 0.02 * configuration.batch * slower * (1.0 if configuration.threads == 2 else 1.5)


def test_the_faster_settings_are_timed_again_together(timed):
    result, (first, second) = timed(pass_s)
    assert [request.configuration for request in first] == [BASE, *(setting.of(BASE) for setting in SETTINGS)]
    together = BASE.replace(layout="channels_last", threads=2)
    assert [request.configuration for request in second] == [BASE, together]
    last = result.trials[-1]
    assert (last.setting.of(BASE), last.verdict) == (together, "faster")
    assert last.low < 3 < last.high  # 2 x 1.5.
    assert len(result.trials) == len(SETTINGS) + 1


def test_the_budget_is_split_between_both_rounds(timed):
    _, calls = timed(pass_s)
    first, second = (PROCESSES * sum(request.budget_s for request in requests) for requests in calls)
    assert first == pytest.approx(0.75 * BUDGET_S)
    assert second == pytest.approx(0.25 * BUDGET_S)


@pytest.mark.parametrize("faster", [set(), {"channels_last"}])
def test_fewer_than_two_faster_settings_have_no_combination(faster, timed):
    result, calls = timed(lambda each: 0.1 * each.batch * (0.5 if each.layout in faster else 1.0))
    assert len(calls) == 1
    assert len(result.trials) == len(SETTINGS)


def test_an_interrupted_run_has_no_second_round(timed):
    result, calls = timed(pass_s, complete=False)
    assert (len(calls), result.complete) == (1, False)


def test_a_model_that_cannot_be_timed_as_it_is(monkeypatch):
    failed = record()
    failed = failed.replace(measurement=failed.measurement.replace(timings=(), reason="no kernel", quality="void"))
    for complete, error in ((True, CannotMeasure), (False, KeyboardInterrupt)):
        run = TimedRun((failed,) * (len(SETTINGS) + 1), complete)
        monkeypatch.setattr(module, "time_requests", lambda requests, run=run, **options: run)
        with pytest.raises(error):
            time_settings(
                Request(BASE, variant="nin"), SETTINGS, budget_s=BUDGET_S, progress=lambda done, total, label: None
            )
