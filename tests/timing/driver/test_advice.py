"""What a run teaches: a configuration that was measured to be slower, and a type that the processor emulates."""

from __future__ import annotations

import analyzer
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.driver.advice import advice


def record(seconds, quality="trusted", flags=None, **configuration):
    whole = Timing("", "", 1, "whole", "pass", (seconds,) * 4, quality, "", (1,) * 4)
    environment = {"processor": {"flags": flags}} if flags is not None else {}
    return analyzer.count("nin").replace(
        measurement=Measurement(Configuration(**configuration), (whole,), quality), environment=environment
    )


def test_the_better_of_two_layouts_is_named():
    slow, fast = record(0.015), record(0.010, layout="channels_last")
    assert advice(slow, [slow, fast]) == ["layout channels_last was measured 1.50x faster than contiguous"]
    assert advice(fast, [slow, fast]) == []


def test_a_small_difference_a_void_cell_or_two_knobs_teach_nothing():
    slow = record(0.0104)
    assert advice(slow, [slow, record(0.010, layout="channels_last")]) == []
    slow = record(0.015)
    assert advice(slow, [slow, record(0.010, quality="void", layout="channels_last")]) == []
    assert advice(slow, [slow, record(0.010, layout="channels_last", threads=2)]) == []
    assert advice(record(0.015, quality="void"), [slow, record(0.010, layout="channels_last")]) == []


def test_two_whose_intervals_overlap_teach_nothing_and_a_noisy_one_is_called_so():
    def spread(quality="noisy", **configuration):
        one = record(0.0, quality, **configuration)
        samples = (0.0150, 0.0155, 0.0155, 0.0160) if configuration else (0.010, 0.020, 0.020, 0.030)
        whole = one.measurement.whole.replace(samples_s=samples)
        return one.replace(measurement=one.measurement.replace(timings=(whole,)))

    wide = spread()  # 20 ms, but somewhere between 5 and 35.
    assert advice(wide, [wide, spread(layout="channels_last")]) == []
    slow = record(0.040)
    assert advice(slow, [slow, spread(layout="channels_last")]) == [
        "layout channels_last was measured 2.58x faster than contiguous, but one of the two is noisy"
    ]


def test_fewer_threads_may_be_faster():
    two = record(0.015, threads=2)
    assert "thread count 1 was measured 1.50x faster than 2" in advice(two, [two, record(0.010)])[0]


def test_more_threads_than_processors_are_named():
    crowded = record(1.0, threads=3)
    assert advice(crowded, []) == []  # Nobody knows how many processors there are.
    processor = {"count": 8, "affinity": [0, 1]}
    assert advice(crowded.replace(environment={"processor": processor}), []) == [
        "more threads than the 2 processors take turns on them"
    ]
    assert advice(record(1.0, threads=2).replace(environment={"processor": processor}), []) == []


def test_an_emulated_type_is_named():
    assert advice(record(1.0, flags=["avx2"], dtype="bfloat16"), []) == [
        "this processor has no instructions for bfloat16 and emulates it"
    ]
    assert len(advice(record(1.0, "void", flags=["avx2"], dtype="float16"), [])) == 1  # True of any time.
    assert advice(record(1.0, flags=["avx2", "amx_bf16"], dtype="bfloat16"), []) == []
    assert advice(record(1.0, dtype="bfloat16"), []) == []
