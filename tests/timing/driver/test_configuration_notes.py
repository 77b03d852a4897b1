"""Notes on configurations: one that was slower than another, an emulated dtype, too many threads."""

from __future__ import annotations

import pytest

import analyzer
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.driver.configuration_notes import advice


def record(samples, quality="trusted", processor=None, **configuration):
    """A record with one pass timing; each sample is a process, and a single number stands for four equal ones."""
    samples = samples if isinstance(samples, tuple) else (samples,) * 4
    timing = Timing("", "", 1, "pass", "pass", samples, quality, "", (1,) * len(samples))
    return analyzer.count("nin").replace(
        measurement=Measurement(Configuration(**configuration), (timing,), quality),
        environment={"processor": processor} if processor else {},
    )


def channels_last(samples, quality="trusted", **configuration):
    return record(samples, quality, layout="channels_last", **configuration)


def test_the_faster_layout_is_named():
    slow, fast = record(0.015), channels_last(0.010)
    (note,) = advice(slow, [slow, fast])
    assert "layout channels_last" in note
    assert "1.50× [1.50× to 1.50×] faster" in note
    assert "noisy" not in note
    assert advice(fast, [slow, fast]) == []


@pytest.mark.parametrize(("ratio", "notes"), [(1.04, 0), (1.06, 1), (1.14, 1)])
def test_a_difference_below_five_percent_is_not_worth_a_note(ratio, notes):
    slow = record(0.010 * ratio)
    assert len(advice(slow, [slow, channels_last(0.010)])) == notes


def test_only_a_usable_timing_that_differs_in_one_knob_is_compared():
    slow = record(0.015)
    assert advice(slow, [slow, channels_last(0.010, "void")]) == []
    assert advice(slow, [slow, channels_last(0.010, threads=2)]) == []
    assert advice(slow, [slow, channels_last(0.010).replace(model="alexnet")]) == []
    assert advice(record(0.015, "void"), [slow, channels_last(0.010)]) == []


def test_overlapping_intervals_give_no_note_and_noise_is_mentioned():
    fast = channels_last((0.0150, 0.0155, 0.0155, 0.0160), "noisy")
    assert advice(record((0.010, 0.020, 0.020, 0.030), "noisy"), [fast]) == []  # 20 ms, but 5 to 35 at 95 %.
    (note,) = advice(record(0.040), [fast])
    assert "2.58× [2.46× to 2.72×]" in note
    assert "one of the two is noisy" in note
    assert "both are noisy" in advice(record(0.040, "noisy"), [fast])[0]


def test_fewer_threads_may_be_faster():
    two = record(0.015, threads=2)
    assert advice(two, [two, record(0.010)])[0].startswith("thread count 1 was 1.50×")


@pytest.mark.parametrize(
    ("processor", "threads", "notes"),
    [
        (None, 3, 0),  # Unknown number of processors.
        ({"count": 2}, 3, 1),
        ({"count": 8, "affinity": [0, 1]}, 3, 1),
        ({"count": 8, "affinity": [0, 1]}, 2, 0),
    ],
)
def test_more_threads_than_processors_get_a_note(processor, threads, notes):
    assert len(advice(record(1.0, processor=processor, threads=threads), [])) == notes


def test_an_emulated_dtype_gets_a_note():
    avx2, amx = {"flags": ["avx2"]}, {"flags": ["avx2", "amx_bf16"]}
    assert "bfloat16" in advice(record(1.0, processor=avx2, dtype="bfloat16"), [])[0]
    assert len(advice(record(1.0, "void", processor=avx2, dtype="float16"), [])) == 1  # True of a void time as well.
    assert advice(record(1.0, processor=amx, dtype="bfloat16"), []) == []
    assert advice(record(1.0, dtype="bfloat16"), []) == []
    assert advice(record(1.0, processor=avx2, dtype="bfloat16", device="cuda"), []) == []
