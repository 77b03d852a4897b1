"""Two runs of pytest-benchmark, each with its samples → an outcome a benchmark. Pure.

The runs are not paired: whatever the machine did between them is in their difference. What that makes up is seen where
several benchmarks ran: most of a change leaves alone, so that their spread is the noise, and what they share is the
machine's. Of a few benchmarks nothing of the kind is seen, and what two runs of the same code usually differ by counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any, TypeAlias

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.history.point import UNKNOWN
from analyzer.history.pytest_benchmark import Run
from analyzer.regression.benchmarks.estimate import Typical, typical
from analyzer.regression.paired.sequential_test import POWER, Estimate, Rules, holm, student
from analyzer.regression.verdict import Outcome, Verdict

ENOUGH = 5  # Benchmarks, to learn the noise from.
# Of the log ratio of two runs of the same code on shared machines: 38 to 71 in 100 differ by more than 5 %, so that its
# standard deviation is 6 to 13 %. Which of these machines this is, one run on it does not show.
USUAL = 0.13
# Of Student's t: a machine that is busy throughout one run and idle in the other has longer tails than a normal
# distribution. With more, two files of equal runs are called regressed more often than their 1 in 100.
FREEDOM = 3
FLOOR = 0.02  # Five benchmarks may agree by luck.
FARTHEST = math.log(1e6)  # A bound beyond that bounds nothing.

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class Compared(Frozen):
    """One benchmark before and after, its typical times in seconds.

    `estimate` is of the log ratio, less what all share where that is known. `smallest` is the least growth that would
    be called regressed 95 times in 100, as a ratio less 1; None where that is none at all.
    """

    name: str
    before_s: float | None
    after_s: float | None
    outcome: Outcome
    estimate: Estimate | None = None
    smallest: float | None = None
    reason: str = ""

    @property
    def change(self) -> float | None:
        """The change as measured, as a ratio less 1."""
        return None if not self.before_s or self.after_s is None else self.after_s / self.before_s - 1


class Files(Frozen):
    """All that two files say. `shared` is the log ratio that all benchmarks have in common, where that is known.

    `apart` says why they cannot be held against each other at all; every benchmark is then incomparable.
    """

    base: str
    head: str
    rules: Rules
    compared: tuple[Compared, ...]
    shared: float | None = None
    apart: str = ""

    @property
    def failures(self) -> tuple[Compared, ...]:
        return tuple(one for one in self.compared if one.outcome == "regressed")

    @property
    def moved(self) -> bool:
        """Whether all benchmarks together moved by more than the limit. Machine or code, two files cannot tell."""
        return self.shared is not None and abs(self.shared) > math.log1p(self.rules.limit)

    @property
    def status(self) -> str:
        """The envelope's word."""
        return "failed" if self.failures else "partial" if self.apart else "ok"


def compare(base: Run, head: Run, rules: Rules, names: tuple[str, str] = ("base", "head")) -> Files:
    """Every benchmark of either run, in the head's order."""
    before, after = ({one.name: typical(one) for one in run.benchmarks} for run in (base, head))
    order = list(dict.fromkeys([*after, *before]))
    if apart := why_not(base.environment, head.environment):
        missing = tuple(_missing(name, before, after, "") for name in order)
        return Files(*names, rules, missing, apart=apart)
    logs = {name: _log(before[name], after[name]) for name in order if name in before and name in after}
    sound = {name: log for name, log in logs.items() if log is not None}
    estimates = estimated(sound, {name: _within(before[name], after[name]) for name in sound})
    rules = rules.replace(models=max(len(estimates), 1))
    grown = holm({name: one.above(math.log1p(rules.tolerance)) for name, one in estimates.items()}, rules.alpha)
    compared = []
    for name in order:
        if name in estimates:
            now = estimates[name]
            word = outcome(now, rules, regressed=name in grown)
            compared.append(Compared(name, before[name].time_s, after[name].time_s, word, now, smallest(now, rules)))
        else:
            compared.append(_missing(name, before, after, "a time of 0" if name in logs else ""))
    shared = median(sound.values()) if len(sound) >= ENOUGH else None
    return Files(*names, rules, tuple(compared), shared)


def why_not(base: Mapping[str, str], head: Mapping[str, str]) -> str:
    """In what two machines differ, by name, or empty where they do not."""
    if UNKNOWN in (base, head):
        return "the machine of one of them is unknown"
    keys = dict.fromkeys([*base, *head])
    return "; ".join(
        f"{key} {base.get(key, 'unknown')} against {head.get(key, 'unknown')}"
        for key in keys
        if base.get(key) != head.get(key)
    )


def estimated(logs: Mapping[str, float], within: Mapping[str, float]) -> dict[str, Estimate]:
    """Each log ratio with its standard error: learnt from the spread of the others, or the usual one of too few.

    Of the others alone: a benchmark that changed would hide itself in a spread that it is part of.
    """
    values = np.array(list(logs.values()))
    found = {}
    for at, (name, log) in enumerate(logs.items()):
        centre, spread = around(np.delete(values, at)) if len(values) >= ENOUGH else (0.0, USUAL)
        found[name] = Estimate(1, log - centre, math.hypot(spread, within[name]), FREEDOM, 1.0)
    return found


def around(others: Numbers) -> tuple[float, float]:
    """The median of log ratios and their spread, as a standard deviation, from the median distance to it."""
    centre = float(np.median(others))
    # Of a normal distribution that distance is 0.6745 standard deviations, and less in a few values of it.
    return centre, max(float(np.median(np.abs(others - centre))) / 0.6745 * (1 + 0.8 / len(others)), FLOOR)


def outcome(now: Estimate, rules: Rules, *, regressed: bool) -> Outcome:
    """The word; `regressed` is Holm's, who has seen all benchmarks."""
    if regressed:
        return "regressed"
    high = now.high(rules.alpha)
    if now.high(rules.alpha / rules.models) < -math.log1p(rules.tolerance):
        return "improved"
    return "unchanged" if high < math.log1p(rules.limit) else "unclear"


def smallest(now: Estimate, rules: Rules) -> float | None:
    """The growth that would be called regressed 95 times in 100, were it the only one, as a ratio less 1."""
    reach = student(rules.alpha / rules.models, now.freedom) + student(1 - POWER, now.freedom)
    found = ratio(math.log1p(rules.tolerance) + reach * now.error)
    return None if found is None else found - 1


def ratio(log: float) -> float | None:
    """Of a bound, as a ratio; None where it bounds nothing."""
    return math.exp(log) if log < FARTHEST else None


def verdicts(files: Files) -> tuple[Verdict, ...]:
    """DESIGN's verdicts: seconds, and bounds of the ratio where there are any."""
    alpha = files.rules.alpha
    return tuple(
        Verdict(
            one.name,
            "total",
            "time",
            one.before_s,
            one.after_s,
            one.outcome,
            low=ratio(one.estimate.low(alpha)) if one.estimate else None,
            high=ratio(one.estimate.high(alpha)) if one.estimate else None,
        )
        for one in files.compared
    )


def exit_status(files: Files, *, strict: bool) -> int:
    """1 regressed, 3 not to be held against each other (under `strict` also a benchmark that only one has), 4 unclear
    under `strict`, of one benchmark or of all together."""
    if files.failures:
        return 1
    outcomes = {one.outcome for one in files.compared}
    if files.apart or (strict and "incomparable" in outcomes):
        return 3
    return 4 if strict and ("unclear" in outcomes or files.moved) else 0


def _log(before: Typical, after: Typical) -> float | None:
    return math.log(after.time_s) - math.log(before.time_s) if before.time_s and after.time_s else None


def _within(before: Typical, after: Typical) -> float:
    """The standard error of a log ratio, as far as the samples of the two runs show it."""
    return math.hypot(*(USUAL if one.error is None else one.error for one in (before, after)))


def _missing(name: str, before: Mapping[str, Typical], after: Mapping[str, Typical], reason: str) -> Compared:
    first, second = before.get(name), after.get(name)
    if not (first and second):
        reason = "only in the base" if first else "only in this run"
    return Compared(
        name, first.time_s if first else None, second.time_s if second else None, "incomparable", reason=reason
    )
