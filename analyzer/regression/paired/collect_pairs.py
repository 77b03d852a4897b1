"""Collects one model's pairs until the outcome is settled or the budget is spent, and confirms a regression."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.regression.outcome import Outcome
from analyzer.regression.paired.one_pair import Pair, measure_pair
from analyzer.regression.paired.pair_server_client import ModelMissing, SideFailed, SideProcess, WorkerLost
from analyzer.regression.paired.sequential_test import (
    CONFIRMATION_ALPHA,
    MIN_PAIRS,
    Estimate,
    Rules,
    alpha_share,
    early_outcome,
    holm,
    holm_levels,
    needed_pairs,
    trimmed_mean,
)

MAX_LOST_WORKERS = 3
MAX_AUTO_S = 1800.0  # Per model, whatever the estimate of an automatic budget.

Start: TypeAlias = Callable[[], Sequence[SideProcess]]


class PairSample(Frozen):
    """The pairs of one model. `outcome` is set if they settled it early. `seconds` is the duration of the whole run.

    `lost` describes the workers that ended unexpectedly, `failure` why a side cannot be timed at all,
    `missing` the side that has no such model.
    """

    pairs: tuple[Pair, ...] = ()
    outcome: Outcome | None = None
    lost: tuple[str, ...] = ()
    failure: str = ""
    seconds: float = 0.0
    missing: str = ""

    @property
    def sufficient(self) -> bool:
        return len(self.pairs) >= MIN_PAIRS

    @property
    def log_ratios(self) -> list[float]:
        return [pair.log_ratio for pair in self.pairs]

    @property
    def estimate(self) -> Estimate | None:
        """The estimate at the last analysis; None for too few pairs."""
        share = alpha_share(len(self.pairs), final=self.outcome is None)
        return trimmed_mean(self.log_ratios, share) if self.sufficient else None

    @property
    def seconds_per_pair(self) -> float:
        """Includes the time spent on lost workers."""
        return self.seconds / max(len(self.pairs), 1)


class ProcessPair:
    """The processes of base and head, started on first use, and again after a worker was lost or for a confirmation."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.processes: Sequence[SideProcess] | None = None
        self.generation = -1
        self.imports: dict[int, list[str]] = {}

    def get(self) -> Sequence[SideProcess]:
        if self.processes is None:
            self.processes = self.start()
            self.generation += 1
            self.imports = {}
        return self.processes

    def close(self) -> None:
        processes, self.processes = self.processes, None
        for process in processes or ():
            process.close()


def collect_pairs(
    processes: ProcessPair,
    models: tuple[str, str],
    rules: Rules,
    *,
    budget_s: float,
    rng: random.Random,
    early: bool = True,
    clock: Callable[[], float] = time.monotonic,
    measure: Callable[..., Pair] = measure_pair,
    progress: Callable[[int], None] = lambda pairs: None,
    extend: Callable[[int, float], None] | None = None,
) -> PairSample:
    """Pairs of base's and head's model, until a side fails, three workers are lost, or the budget is spent.

    With `early` the sampling stops once further pairs would not change the outcome. The budget is met to within half a
    pair. With `extend` the budget is only the time after which the number of pairs that a decision needs is estimated;
    `extend` is told this number and the total seconds.
    """
    pairs: list[Pair] = []
    lost: list[str] = []
    outcome: Outcome | None = None
    failure = missing = ""
    durations: list[float] = []
    target: int | None = None
    try:
        processes.get()  # Started before the clock, since they serve all models.
    except (WorkerLost, SideFailed) as error:
        return PairSample(failure=str(error))
    begin = clock()
    while outcome is None and len(lost) < MAX_LOST_WORKERS:
        start = clock()
        elapsed, pair_s = start - begin, median(durations) if durations else 0.0
        if elapsed + pair_s / 2 > (MAX_AUTO_S if extend and (target or len(pairs) < MIN_PAIRS) else budget_s):
            if extend is None or target or len(pairs) < MIN_PAIRS:
                break
            target = needed_pairs([pair.log_ratio for pair in pairs], rules)
            if len(pairs) < target:
                extend(target, min(elapsed + (target - len(pairs)) * pair_s, MAX_AUTO_S))
        if target and len(pairs) >= target:
            break
        progress(len(pairs))
        try:
            sides = processes.get()
            pair = measure(sides, models, rng, generation=processes.generation, imports=processes.imports)
        except SideFailed as error:
            processes.close()
            failure, missing = str(error), error.side if isinstance(error, ModelMissing) else ""
            break
        except WorkerLost as error:
            processes.close()  # A hung worker is killed.
            lost.append(str(error))
            continue
        pairs.append(pair)
        durations.append(clock() - start)
        if early and (share := alpha_share(len(pairs), final=False)):
            outcome = early_outcome(trimmed_mean([pair.log_ratio for pair in pairs], share), rules)
    return PairSample(tuple(pairs), outcome, tuple(lost), failure, clock() - begin, missing)


def collect_confirmation(processes: ProcessPair, models: tuple[str, str], rules: Rules, **settings: Any) -> PairSample:
    """Collects pairs again with new servers: pairs of one server share its memory layout, among others."""
    processes.close()
    return collect_pairs(processes, models, rules.replace(alpha=CONFIRMATION_ALPHA, models=1), **settings)


def is_confirmed(confirmation: PairSample, rules: Rules) -> bool:
    """Whether the second sample rejects "grew by no more than the tolerance" at its own alpha."""
    estimate = confirmation.estimate
    return estimate is not None and estimate.p_value(math.log1p(rules.tolerance)) <= CONFIRMATION_ALPHA


def suspected_regressions(samples: Mapping[str, PairSample], rules: Rules) -> set[str]:
    """The models that Holm's procedure calls regressed, and that need confirmation."""
    return holm(_p_values(samples, rules), rules.alpha)


def corrected_levels(samples: Mapping[str, PairSample], rules: Rules) -> dict[str, float]:
    """For each model with an estimate the level of its lower bound, at which Holm's procedure decides."""
    return holm_levels(_p_values(samples, rules), rules.alpha)


def _p_values(samples: Mapping[str, PairSample], rules: Rules) -> dict[str, float]:
    return {
        model: sample.estimate.p_value(math.log1p(rules.of(model).tolerance))
        for model, sample in samples.items()
        if sample.estimate
    }
