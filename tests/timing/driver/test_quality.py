"""Quality of a timing: by contention, by the confidence interval of its median, by the reference workload."""

from __future__ import annotations

import re

import pytest

from analyzer.timing.driver.quality import assess_quality, contention_quality, quality_beside_others
from analyzer.timing.machine.contention import ON_OTHER_PROCESSORS

CAUSE = "another process was running"


def clean(*seconds):
    return [(sample, None) for sample in seconds]


def disturbed(count):
    return [(5.0, CAUSE)] * count


@pytest.mark.parametrize(
    ("clean_count", "disturbed_count", "quality"),
    [
        (4, 0, "trusted"), (2, 0, "void"),  # At least 3 clean samples.
        (7, 3, "trusted"), (6, 3, "noisy"),  # At most 3 in 10 disturbed.
        (8, 72, "noisy"), (8, 73, "void"),  # More than 9 in 10 disturbed: the clean ones are chance.
    ],
)  # fmt: skip
def test_contention_is_judged_by_the_share_of_disturbed_samples(clean_count, disturbed_count, quality):
    assessment = contention_quality([clean(*[1.0] * clean_count) + disturbed(disturbed_count)], 3)
    assert assessment[0] == quality
    if quality != "trusted" and disturbed_count:
        assert f"{disturbed_count} of {clean_count + disturbed_count} samples" in assessment[1]
        assert assessment[1].endswith(CAUSE)


def test_processes_that_differ_are_noisy():
    """Medians of two draws of 1.0 and 1.1 have a standard deviation of 0.0354; times 17.97 that is 61 % of 1.05."""
    quality, reason = assess_quality([clean(1.0, 1.0, 1.0), clean(1.1, 1.1, 1.1)], 3)
    assert quality == "noisy"
    assert re.match(r"± (59|60|61|62)\.\d %: .* 2 processes .* 10\.0 %$", reason)


@pytest.mark.parametrize(("second", "quality"), [(1.0048, "trusted"), (1.0056, "noisy")])
def test_a_trusted_median_is_known_to_three_percent(second, quality):
    """Two processes that differ by d have a half width of 17.97 · d / sqrt(8): 3 % at d = 0.0047 to 0.0050."""
    half_width = 17.97 * (second - 1) / 8**0.5
    assert (half_width < 0.0315) == (quality == "trusted")
    assert assess_quality([clean(1.0, 1.0, 1.0), clean(second, second, second)], 3)[0] == quality


def test_the_reason_says_whether_the_reference_workload_varied_too():
    processes = [clean(1.0, 1.0, 1.0), clean(1.1, 1.1, 1.1)]
    _, reason = assess_quality(processes, 3, [clean(0.0020, 0.0020), clean(0.0024, 0.0024)])
    assert reason.endswith("10.0 %, those of the reference workload by 20.0 %")


def test_a_slowed_machine_is_noisy_although_processes_agree():
    """The 10 % quantile of 20 reference samples is 1.00 ms; a median more than 20 % above it means a slowed machine."""
    passes, fast = [clean(1.0, 1.0, 1.0)] * 2, [1.00e-3] * 3
    at_limit = [clean(*fast, *[1.20e-3] * 7), clean(*[1.20e-3] * 10)]
    above = [clean(*fast, *[1.22e-3] * 7), clean(*[1.22e-3] * 10)]
    assert assess_quality(passes, 3, at_limit) == ("trusted", "")
    quality, reason = assess_quality(passes, 3, above)
    assert quality == "noisy"
    assert "22.0 %" in reason
    assert assess_quality(passes, 3, [clean(1e-3, 2e-3, 2e-3, 2e-3)]) == ("trusted", "")  # Too few for a quantile.
    assert assess_quality(passes, 3, [[*at_limit[0], *disturbed(99)], at_limit[1]]) == ("trusted", "")


def test_one_outlying_process_of_ten_is_tolerated_and_one_of_three_is_not():
    medians = [1.30, *[1.00, 1.01, 1.02] * 3]
    processes = [clean(median, median, median) for median in medians]
    assert assess_quality(processes, 3) == ("trusted", "")
    quality, reason = assess_quality(processes[:3], 3)
    assert quality == "noisy"
    assert "30.0 %" in reason


def test_a_single_process_is_judged_by_its_own_samples():
    """Medians of 1.0, 1.5 and 2.0 have a standard deviation of 0.36; times 5.27 that is 126 % of 1.5."""
    assert assess_quality([clean(*[1.0] * 9, 1.5)], 3) == ("trusted", "")
    quality, reason = assess_quality([clean(1.0, 1.5, 2.0)], 3)
    assert quality == "noisy"
    assert re.match(r"± 12\d\.\d %", reason)


def test_a_single_undisturbed_process_of_several_is_noisy():
    processes = [clean(*[1.0] * 9), disturbed(1)]
    assert contention_quality(processes, 3) == ("trusted", "")
    assert assess_quality(processes, 3) == ("noisy", "only 1 of 2 processes had undisturbed samples")


def beside(*seconds):
    return [(sample, ON_OTHER_PROCESSORS[0]) for sample in seconds]


def test_load_on_another_processor_is_judged_by_its_effect():
    """Void by the samples that were disturbed, else as if it were quiet, but never trusted."""
    steady = [beside(1.0, 1.001, 0.999, 1.0, 1.0)] * 3
    assert contention_quality(steady, 3)[0] == "void"
    others = "another process was running on another processor in {0} of {0} samples"
    assert quality_beside_others([beside(1.0, 1.0, 1.0)] * 3, 3) == (
        "noisy", f"{others.format(9)}, but times repeat within ± 0.0 %",
    )  # fmt: skip
    # Two processes that differ by 0.01 have a half width of 17.97 · 0.01 / sqrt(8), 6.4 %; by 0.02, 12.7 %.
    for seconds, half_width in ((1.01, "6"), (1.02, "1[23]")):
        quality, reason = quality_beside_others([beside(1.0, 1.0, 1.0), beside(*[seconds] * 3)], 3)
        assert quality == "noisy"
        assert re.fullmatch(others.format(6) + rf"; ± {half_width}\.\d %: the medians of 2 processes differ .*", reason)
    # Threads that waited were disturbed wherever others ran, and samples that are missing were not disturbed.
    for processes in ([[*beside(1.0), *disturbed(4)]] * 3, [clean(1.0)]):
        assert quality_beside_others(processes, 3) == contention_quality(processes, 3)
    slowed = [clean(*[1.0e-3] * 10, *[1.5e-3] * 11)]
    quality, reason = quality_beside_others(steady, 3, slowed)
    assert quality == "noisy"
    assert reason.startswith(f"{others.format(15)}; the machine was slow: reference workload (median) 50.0 %")
