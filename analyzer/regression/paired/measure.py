"""One model's pairs until they settle or time is up, and a second time with new parents where they say "regressed"."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.regression.paired.pairs import Pair, take
from analyzer.regression.paired.sequential_test import (
    CONFIRM_ALPHA,
    LEAST_PAIRS,
    Estimate,
    Rules,
    estimate,
    settled,
    share,
)
from analyzer.regression.paired.side_process import Failed, Lost, Parent
from analyzer.regression.verdict import Outcome

MOST_LOST = 3

Start: TypeAlias = Callable[[], Sequence[Parent]]
Take: TypeAlias = Callable[..., Pair]


class Gathered(Frozen):
    """The pairs of one model. `word` is set if they settled it; `lost` says how workers died, `failed` why there is
    none; `seconds` is what all of it took."""

    pairs: tuple[Pair, ...]
    word: Outcome | None = None
    lost: tuple[str, ...] = ()
    failed: str = ""
    seconds: float = 0.0

    @property
    def enough(self) -> bool:
        return len(self.pairs) >= LEAST_PAIRS

    @property
    def estimate(self) -> Estimate | None:
        """At the last look; None of too few pairs."""
        return estimate(self.logs, self._share) if self.enough else None

    @property
    def logs(self) -> list[float]:
        return [pair.own for pair in self.pairs]

    @property
    def pair_s(self) -> float:
        """What one pair takes, in seconds; lost ones count too."""
        return self.seconds / max(len(self.pairs), 1)

    @property
    def _share(self) -> float:
        return share(len(self.pairs), ended=self.word is None)


class Sides:
    """The two parents, started when they are first needed and again when one is lost or new ones are wanted."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.parents: Sequence[Parent] | None = None
        self.generation = -1
        self.imports: dict[int, list[str]] = {}

    def now(self) -> Sequence[Parent]:
        if self.parents is None:
            self.parents = self.start()
            self.generation += 1
            self.imports = {}
        return self.parents

    def close(self) -> None:
        """Ends both, whatever they do."""
        parents, self.parents = self.parents, None
        for one in parents or ():
            one.close()


def gather(
    sides: Sides,
    models: tuple[str, str],
    rules: Rules,
    *,
    budget_s: float,
    order: random.Random,
    early: bool = True,
    clock: Callable[[], float] = time.monotonic,
    take: Take = take,
    tell: Callable[[int], None] = lambda pairs: None,
) -> Gathered:
    """Pairs of base's and head's model. A side that fails, or workers lost three times, end it; Ctrl-C does too.

    `early`: whether to stop when further pairs would change nothing. The budget is met to within half a pair.
    """
    pairs: list[Pair] = []
    lost: list[str] = []
    word: Outcome | None = None
    failed = ""
    took: list[float] = []
    try:
        sides.now()  # They serve every model: to start them is no model's time.
    except (Lost, Failed) as error:
        return Gathered((), failed=str(error))
    begun = clock()
    while word is None and len(lost) < MOST_LOST:
        start = clock()
        if start - begun + (median(took) / 2 if took else 0) > budget_s:
            break
        tell(len(pairs))
        try:
            parents = sides.now()
            pair = take(parents, models, order, parents=sides.generation, imports=sides.imports)
        except (Lost, Failed) as error:
            sides.close()  # What a worker may still do is not waited for.
            if isinstance(error, Failed):
                failed = str(error)
                break
            lost.append(str(error))
            continue
        pairs.append(pair)
        took.append(clock() - start)
        if early and (part := share(len(pairs), ended=False)):
            word = settled(estimate([one.own for one in pairs], part), rules)
    return Gathered(tuple(pairs), word, tuple(lost), failed, clock() - begun)


def confirm(sides: Sides, models: tuple[str, str], rules: Rules, **settings: object) -> Gathered:
    """The same once more with new parents: what a parent has, such as where libraries lie, all its pairs share."""
    sides.close()
    again = rules.replace(alpha=CONFIRM_ALPHA, models=1)
    return gather(sides, models, again, **settings)  # type: ignore[arg-type]


def confirmed(again: Gathered, rules: Rules) -> bool:
    """Whether the second time says so too, at its own alpha."""
    import math

    now = again.estimate
    return now is not None and now.above(math.log1p(rules.tolerance)) <= CONFIRM_ALPHA


def by_model(found: Mapping[str, Gathered], rules: Rules) -> dict[str, float]:
    """The p-value of "grew by no more than the tolerance" of each model with a verdict, for Holm."""
    import math

    tolerance = math.log1p(rules.tolerance)
    return {model: one.estimate.above(tolerance) for model, one in found.items() if one.estimate}
