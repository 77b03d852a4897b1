"""Decides whether a run is trusted, noisy or void: the rule for `void` is here.

From the share of disturbed samples (`machine/contention.py` detects each), the precision of the median, and the
machine's speed by the reference workload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias, get_args

import numpy as np

from analyzer.records.timings import TRUSTED_HALF_WIDTH, Quality
from analyzer.timing.machine.contention import ON_OTHER_PROCESSORS
from analyzer.timing.statistics import Samples, bootstrap_median

WatchedSamples: TypeAlias = list[tuple[Any, str | None]]  # One process: seconds, and the disturbance or None.
Assessment: TypeAlias = tuple[Quality, str]  # With the reason why it is not trusted, or "".

QUALITIES = get_args(Quality)  # From best to worst.
NOISY_SHARE = 0.3  # Share of disturbed samples.
VOID_SHARE = 0.9  # Above it, the remaining samples were probably disturbed without being detected.
SLOWED = 0.2  # Median of the reference workload over its 10 % quantile, minus 1. docs/timing.md has the runs behind it.
MIN_REFERENCE_SAMPLES = 10  # For a 10 % quantile.


def assess_quality(
    processes: Sequence[WatchedSamples], min_clean: int, reference_workload: Sequence[WatchedSamples] = ()
) -> Assessment:
    """Quality of a timing. `reference_workload` are samples of it from the same processes: they show machine speed."""
    assessment = contention_quality(processes, min_clean)
    if assessment[0] == "trusted":
        assessment = _precision_quality(processes, reference_workload)
    return assessment if assessment[0] != "trusted" else _speed_quality(reference_workload)


def without_other_processors(samples: WatchedSamples) -> WatchedSamples:
    """Samples as if load on processors that our threads do not use were no disturbance."""
    return [(taken, None if disturbance in ON_OTHER_PROCESSORS else disturbance) for taken, disturbance in samples]


def quality_beside_others(
    processes: Sequence[WatchedSamples], min_clean: int, reference_workload: Sequence[WatchedSamples] = ()
) -> Assessment:
    """The quality of a run that is void because of load: noisy if the load was on processors that it does not use.

    Such a run is never trusted, because processors share caches, memory bandwidth and clock.
    """
    disturbed = sum(disturbance in ON_OTHER_PROCESSORS for process in processes for _, disturbance in process)
    ignoring, workload = (list(map(without_other_processors, samples)) for samples in (processes, reference_workload))
    if not disturbed or contention_quality(ignoring, min_clean)[0] != "trusted":
        return contention_quality(processes, min_clean)
    quality, reason = assess_quality(ignoring, min_clean, workload)
    half_width = 100 * _half_width(clean_samples(ignoring))
    effect = f"; {reason}" if quality == "noisy" else f", but times repeat within ± {half_width:.1f} %"
    total = sum(map(len, processes))
    return "noisy", f"another process was running on another processor in {disturbed} of {total} samples{effect}"


def worst(*assessments: Assessment) -> Assessment:
    return max(assessments, key=lambda assessment: QUALITIES.index(assessment[0]))


def contention_quality(processes: Sequence[WatchedSamples], min_clean: int) -> Assessment:
    """The quality by the share of disturbed samples alone."""
    total = sum(map(len, processes))
    causes = Counter(disturbance for process in processes for _, disturbance in process if disturbance)
    disturbed = causes.total()
    cause = causes.most_common(1)[0][0] if causes else ""
    if total - disturbed < min_clean or disturbed > VOID_SHARE * total:
        return "void", f"{disturbed} of {total} samples were disturbed: {cause}" if causes else f"only {total} samples"
    if disturbed > NOISY_SHARE * total:
        return "noisy", f"{disturbed} of {total} samples were disturbed and left out: {cause}"
    return "trusted", ""


def _precision_quality(processes: Sequence[WatchedSamples], reference_workload: Sequence[WatchedSamples]) -> Assessment:
    """Trusted if the confidence interval of the median is within ± TRUSTED_HALF_WIDTH and has a second process."""
    clean, sampled = clean_samples(processes), sum(map(bool, processes))
    if len(clean) == 1 < sampled:
        return "noisy", f"only 1 of {sampled} processes had undisturbed samples"
    half_width = _half_width(clean)
    if half_width <= TRUSTED_HALF_WIDTH:
        return "trusted", ""
    if len(clean) == 1:
        return "noisy", f"± {100 * half_width:.1f} %: the samples of its only process vary"
    reference = f", those of the reference workload by {_difference(clean_samples(reference_workload))}"
    return "noisy", (
        f"± {100 * half_width:.1f} %: the medians of {len(clean)} processes differ by {_difference(clean)}"
        f"{reference if any(reference_workload) else ''}"
    )


def _speed_quality(reference_workload: Sequence[WatchedSamples]) -> Assessment:
    """Trusted if the machine was at full speed most of the time.

    Load in another virtual machine slows all passes of a run alike: processes agree, but the next run differs. Only the
    reference workload reveals this, and only if the machine's speed changed during the run.
    """
    clean = clean_samples(reference_workload)
    samples = np.concatenate(clean) if clean else np.array([])
    if samples.size < MIN_REFERENCE_SAMPLES:
        return "trusted", ""
    excess = float(np.median(samples) / np.quantile(samples, 0.1)) - 1
    if excess <= SLOWED:
        return "trusted", ""
    return "noisy", f"the machine was slow: reference workload (median) {100 * excess:.1f} % above its 10 % quantile"


def clean_samples(processes: Sequence[WatchedSamples]) -> list[Samples]:
    """The undisturbed samples of each process that has any."""
    clean = [np.array([seconds for seconds, disturbance in process if not disturbance]) for process in processes]
    return [samples for samples in clean if samples.size]


def _half_width(processes: Sequence[Samples]) -> float:
    """Of the confidence interval of the median, relative to the median."""
    low, high = bootstrap_median(processes)
    return (high - low) / 2 / float(np.median(np.concatenate(processes)))


def _difference(processes: Sequence[Samples]) -> str:
    """Highest ÷ lowest median, minus 1."""
    medians = [float(np.median(samples)) for samples in processes]
    return f"{100 * (max(medians) / min(medians) - 1):.1f} %" if medians and min(medians) > 0 else "0.0 %"
