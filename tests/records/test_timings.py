"""A measurement of timings goes through JSON and back unchanged, and what is damaged is refused."""

from __future__ import annotations

import json

import pytest

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.records.envelope import dump, load
from analyzer.records.record import Record
from analyzer.records.timings import Configuration, Measurement, Timing


def measured() -> Record:
    whole = Timing("", "", 1, "whole", "pass", (0.010, 0.012, 0.011), "trusted")
    tile = Timing("conv1.conv", "conv2d", 1, "tile", "forward", (0.004, 0.005, 4e-05), "noisy", "another process ran")
    measurement = Measurement(
        Configuration(batch=8, threads=2, layout="channels_last"), (whole, tile), "noisy", "1 of 3 dirty", "partial"
    )
    return analyzer.count("alexnet").replace(
        measurement=measurement, environment={"cpu": "x"}, created="2026-11-24T10:00:00Z", commit="abc"
    )


def test_it_comes_back_equal():
    assert load(dump([measured()])) == [measured()]


def test_a_record_without_timings_has_none():
    assert load(dump([analyzer.count("alexnet")]))[0].measurement is None


def test_the_median_is_computed_and_a_short_tile_has_no_rank():
    whole, tile = measured().measurement.timings
    assert whole.median_s == 0.011
    assert tile.resolved
    assert not tile.replace(samples_s=(49e-6,)).resolved


def test_a_setting_says_what_is_not_usual():
    assert Configuration().label == "batch 1, 1 thread"
    assert measured().measurement.configuration.label == "batch 8, 2 threads, channels_last"


@pytest.mark.parametrize("sample", [-1.0, "1", None, True, float("nan")])
def test_a_sample_that_is_no_time_is_refused(sample):
    envelope = json.loads(dump([measured()]))
    envelope["records"][0]["timings"][0]["samples_s"][0] = sample
    with pytest.raises(AnalyzerError, match=r"run\.json is damaged"):
        load(json.dumps(envelope), name="run.json")
