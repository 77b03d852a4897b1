"""Measurements: their JSON, their statistics, and records of schema 1."""

from __future__ import annotations

import json

import pytest

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.records.record_json import dump, load
from analyzer.records.timings import Configuration, Measurement, Timing, interquartile


@pytest.fixture
def record():
    timings = (
        Timing("", "", 1, "pass", "pass", (0.010, 0.012, 0.011), "trusted"),
        Timing("conv1.conv", "conv2d", 1, "operator", "forward", (0.004, 0.005, 4e-05), "noisy", "a reason", (2, 1)),
        Timing("", "overhead", 1, "overhead", "forward", (0.001, 0.001, 0.001), "trusted"),
        Timing("", "reference_workload", 1, "reference_workload", "pass", (0.002,), "trusted"),
    )
    configuration = Configuration(batch=8, threads=2, layout="channels_last")
    return analyzer.count("alexnet").replace(
        measurement=Measurement(configuration, timings, "noisy", "1 of 3 disturbed", "partial", ("a warning",)),
        environment={"cpu": "x"}, created="2026-11-24T10:00:00Z", commit="abc",
    )  # fmt: skip


def test_a_timed_record_survives_json(record):
    assert load(dump([record])) == [record]
    assert load(dump([record.replace(measurement=None)]))[0].measurement is None


def test_statistics_are_computed_from_the_samples(record):
    pass_timing, operator, *_ = record.measurement.timings
    assert pass_timing.median_s == 0.011
    assert operator.resolved
    assert not operator.replace(samples_s=(49e-6,)).resolved
    assert operator.replace(samples_s=(51e-6,)).resolved


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (3, [0, 1, 2]), (4, [1, 2]), (9, [2, 3, 4, 5, 6])])
def test_the_interquartile_samples_are_the_middle_half(count, kept):
    assert list(interquartile(range(count))) == kept


def test_the_interquartile_mean_ignores_outliers(record):
    samples = (9.0, 1.0, 2.0, 0.0)
    assert record.measurement.timings[0].replace(samples_s=samples).interquartile_mean_s == (1.0 + 2.0) / 2


def test_a_label_names_what_differs_from_the_defaults(record):
    assert Configuration().label == "batch 1, 1 thread"
    assert record.measurement.configuration.label == "batch 8, 2 threads, channels_last"


@pytest.mark.parametrize("sample", [-1.0, "1", None, True, float("nan")])
def test_a_sample_that_is_not_a_duration_is_refused(record, sample):
    envelope = json.loads(dump([record]))
    envelope["records"][0]["timings"][0]["samples_s"][0] = sample
    with pytest.raises(AnalyzerError, match=r"run\.json is damaged"):
        load(json.dumps(envelope), name="run.json")
