"""Confidence intervals of measured times. Samples from one process are correlated, so whole processes are resampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf, sqrt
from typing import TypeAlias

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Measurement, Timing

Samples: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]  # Seconds, of one process.

RESAMPLES = 2000
CONFIDENCE = 0.95
MAX_DISTINCT = 6  # Processes; of more, most resamples differ.
BLOCK = 2**21  # Sample counts held at a time: memory does not grow with the number of samples.


class Median(Frozen):
    """A median of clustered samples and its standard error: intervals of any confidence from a single bootstrap.

    `sizes` are the numbers of samples per process. See `bootstrap_median`.
    """

    value: float
    standard_error: float
    sizes: tuple[int, ...]

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        factor = critical_value(self.sizes, confidence)
        return factor * self.standard_error if factor < inf else inf

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        half_width = self.half_width(confidence)
        return self.value - half_width, self.value + half_width


def estimate_median(timing: Timing, *, seed: int = 0) -> Median:
    """The median of a timing, in seconds. Raises ValueError if the process counts do not add up."""
    return _bootstrap(by_process(timing), seed)


def confidence_interval(timing: Timing) -> tuple[float, float]:
    """95 % confidence interval of the median, in seconds, by `bootstrap_median` over processes.

    One process gives only its own spread, one sample an infinite interval. Equal samples give equal intervals.

    >>> confidence_interval(Timing("", "", 1, "pass", "pass", (1.0, 1.0, 1.0), "trusted"))
    (1.0, 1.0)
    """
    return bootstrap_median(by_process(timing))


def relative_half_width(timing: Timing) -> float:
    """Half width of the confidence interval ÷ median."""
    low, high = confidence_interval(timing)
    return (high - low) / 2 / timing.median_s


def ratio_interval(first: Timing, second: Timing) -> tuple[float, float]:
    """95 % confidence interval of second ÷ first, of two independent medians, by Fieller's theorem (1954).

    (0, inf) if the first median's interval contains 0, so that its data exclude no ratio.

    >>> ratio_interval(*(Timing("", "", 1, "pass", "pass", (time,) * 3, "trusted") for time in (1.0, 2.0)))
    (2.0, 2.0)
    """
    return median_ratio_interval(estimate_median(first), estimate_median(second))


def median_ratio_interval(first: Median, second: Median, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """As `ratio_interval`, of two medians and at any confidence."""
    first_s, first_width = first.value, first.half_width(confidence)
    second_s, second_width = second.value, second.half_width(confidence)
    scale = first_s**2 - first_width**2
    if not scale > 0 or second_width == inf:
        return 0.0, inf
    root = sqrt(
        max((first_s * second_s) ** 2 - scale * (second_s**2 - second_width**2), 0.0)
    )  # Below 0 only by rounding.
    return max((first_s * second_s - root) / scale, 0.0), (first_s * second_s + root) / scale


def bootstrap_median(processes: Sequence[Samples], *, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap-t interval of the median of clustered samples: median ± t · standard error of the resamples.

    The cluster bootstrap is from Davison and Hinkley (1997, section 3.8), the t quantile and the correction for few
    clusters from Efron and Tibshirani (1993, sections 5.3 and 12.4); see `critical_value`.
    """
    return _bootstrap(processes, seed).interval()


def _bootstrap(processes: Sequence[Samples], seed: int) -> Median:
    samples = np.concatenate(processes)
    order = samples.argsort()
    ordered, sizes = samples[order], [process.size for process in processes]
    medians = []
    for counts in resample_counts(sizes, seed=seed):
        chosen, positions = distinct_resamples(counts, sizes)
        cumulative = chosen[:, order].cumsum(axis=1)
        drawn = cumulative[:, -1:]
        # The two middle samples of a resample; the same one where an odd number was drawn.
        low, high = ((cumulative >= rank).argmax(axis=1) for rank in ((drawn + 1) // 2, drawn // 2 + 1))
        medians.append(((ordered[low] + ordered[high]) / 2)[positions])
    return Median(float(np.median(samples)), float(np.concatenate(medians).std()), tuple(sizes))


def resample_counts(
    sizes: Sequence[int], *, seed: int = 0
) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """How often each resample (a row) contains each sample (a column), in blocks of rows.

    Processes are drawn with replacement, each with all its samples: drawing samples within them too would count their
    spread twice (Davison and Hinkley 1997, section 3.8). Of a single process, samples are drawn.
    """
    generator = np.random.default_rng(seed)
    count, total = len(sizes) if len(sizes) > 1 else sizes[0], sum(sizes)
    rows = max(min(BLOCK // total, RESAMPLES), 1)
    for start in range(0, RESAMPLES, rows):
        drawn = generator.integers(count, size=(min(rows, RESAMPLES - start), count))
        times = np.stack([np.bincount(row, minlength=count) for row in drawn])
        yield np.repeat(times, sizes, axis=1) if len(sizes) > 1 else times


def distinct_resamples(
    counts: np.ndarray[tuple[int, int], np.dtype[np.int64]], sizes: Sequence[int]
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The different rows among resamples, and for each resample the position of its row there.

    Three processes have 10 different resamples, so that their medians need not be computed 2,000 times.
    """
    if not 1 < len(sizes) <= MAX_DISTINCT:
        return counts, np.arange(len(counts))
    starts = np.cumsum([0, *sizes[:-1]])
    keys = counts[:, starts] @ (len(sizes) + 1) ** np.arange(len(sizes))
    _, first, positions = np.unique(keys, return_index=True, return_inverse=True)
    return counts[first], positions


def critical_value(sizes: Sequence[int], confidence: float = CONFIDENCE) -> float:
    """Half width of an interval in standard deviations of the resamples: t(n - 1) · sqrt(n / (n - 1)).

    n is the number of processes, or of samples of a single process. Student's t, because few processes underestimate
    their own spread; the root corrects the variance of resamples, which is (n - 1) / n of the estimate's variance
    (Efron and Tibshirani 1993, sections 5.3 and 12.4). The percentile interval of three processes covers the truth in
    three of four cases.

    >>> [round(critical_value([6] * processes), 2) for processes in (2, 3, 10)]
    [17.97, 5.27, 2.38]
    """
    from scipy.special import stdtrit

    count = len(sizes) if len(sizes) > 1 else sizes[0]
    if count < 2:
        return inf
    return float(stdtrit(count - 1, (1 + confidence) / 2)) * sqrt(count / (count - 1))


def interval_half_width(measurement: Measurement) -> Callable[[Sequence[Timing]], float | None]:
    """Returns a function that maps operators to the half width (s) of the 95 % confidence interval of their summed
    time.

    The same bootstrap as for medians, of the interquartile mean by pass duration (`Measurement.operator_times_s`). The
    function returns None for no operators and for a single pass.
    """
    operators = list(measurement.operator_times_s)
    if not operators or len(operators[0].samples_s) < 2:
        return lambda timings: None
    samples = np.array([timing.samples_s for timing in operators])
    sizes = [process.size for process in by_process(operators[0])]
    order = samples.sum(axis=0).argsort(kind="stable")
    blocks = []
    for counts in resample_counts(sizes):
        cumulative = counts[:, order].cumsum(axis=1)
        drawn = cumulative[:, -1:]
        weights = np.diff(np.clip(cumulative, drawn / 4, drawn * 3 / 4), axis=1, prepend=drawn / 4)
        blocks.append((weights / weights.sum(axis=1, keepdims=True)) @ samples[:, order].T)
    means, factor = np.concatenate(blocks), critical_value(sizes)
    column = {timing: index for index, timing in enumerate(operators)}

    def half_width(timings: Sequence[Timing]) -> float | None:
        if not timings:
            return None
        return factor * float(means[:, [column[timing] for timing in timings]].sum(axis=1).std())

    return half_width


def by_process(timing: Timing) -> list[Samples]:
    """The samples of each process. Raises ValueError if the counts do not add up."""
    samples = np.asarray(timing.samples_s, dtype=np.float64)
    sizes: Sequence[int] = timing.processes or (len(samples),)
    if sum(sizes) != len(samples) or min(sizes, default=0) < 0:
        raise ValueError(f"{len(samples)} samples, but process counts {sizes}")
    return [process for process in np.split(samples, np.cumsum(sizes)[:-1]) if process.size]
