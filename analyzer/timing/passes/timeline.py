"""To which operator or module each moment of an instrumented pass belongs: the time between every two marks has a key.

An operator has the time between its two marks. Every other moment is overhead of the innermost open module: Python,
numpy, and freeing memory in its own forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Phase
from analyzer.timing.passes.instrument import LEFT, Ran, is_operator
from analyzer.timing.passes.instrument_cost import InstrumentCost

Key: TypeAlias = tuple[Phase, str, str, int]  # Phase, path, op and call: the identity of an operator in a record.


class Timeline(Frozen):
    """`owners` has the index in `keys` of each interval between two marks; `costs` the seconds that instruments add to
    each key in one pass. `operators` are the intervals of operators, in order."""

    keys: tuple[Key, ...]
    owners: tuple[int, ...]
    costs: tuple[float, ...]
    operators: tuple[int, ...]

    def durations(
        self, reached: Sequence[float], passes: int = 1, costs: Sequence[float] | None = None
    ) -> dict[Key, float]:
        """Seconds of each key in one pass, from the seconds at each mark of `passes`, without `costs`, by default
        those of the timeline.

        Where a cost exceeds the time of its key, mostly the overhead's, the others bear the difference: the sum of the
        costs is known better than which part of it lies between which marks.
        """
        seconds = [0.0] * len(self.keys)
        for owner, start, end in zip(self.owners * passes, reached[:-1], reached[1:], strict=True):
            seconds[owner] += (end - start) / passes
        left = _without(seconds, self.costs if costs is None else costs)
        return dict(zip(self.keys, left, strict=True))


def _without(seconds: Sequence[float], costs: Sequence[float]) -> list[float]:
    """The times less the costs: none below 0, and their sum less the sum of the costs. A time without a cost stays."""
    total, left = sum(costs), list(seconds)
    bearing = set(range(len(left)))
    while bearing:
        scale = total / (sum(costs[key] for key in bearing) or inf)
        short = {key for key in bearing if scale * costs[key] > seconds[key]}
        if not short:
            break
        total -= sum(seconds[key] for key in short)
        bearing -= short
        for key in short:
            left[key] = 0.0
    for key in bearing:
        left[key] -= scale * costs[key]
    return left


def overhead_key(phase: Phase, path: str) -> Key:
    return phase, path, "overhead", 1


def forward_timeline(
    ran: Sequence[Ran],
    operators: Sequence[Key],
    paths: Mapping[int, str],
    cost: InstrumentCost,
    passed_on: Sequence[int] = (),
) -> Timeline:
    """The timeline of a forward pass that recorded `ran` and `passed_on` (see `Instrument`); `operators` are its
    operators' keys."""
    numbers = {key: index for index, key in enumerate(dict.fromkeys(operators))}
    costs = [0.0] * len(numbers)

    def overhead(path: str) -> int:
        number = numbers.setdefault(overhead_key("forward", path), len(costs))
        if number == len(costs):
            costs.append(0.0)
        return number

    owners, intervals, keys = list[int](), list[int](), iter(operators)
    opened = [overhead("")]
    costs[opened[0]] += cost.mark  # Of the mark between two passes.
    for event in ran:
        owners.append(opened[-1])  # Since the event before.
        if event is LEFT:
            opened.pop()
            continue
        added = cost.of(event)
        costs[opened[-1]] += added.outer
        if is_operator(event):
            number = numbers[next(keys)]
            intervals.append(len(owners))
            owners.append(number)
        else:
            number = overhead(paths[~event])  # type: ignore[operator]
            opened.append(number)
        costs[number] += added.inner
    owners.append(opened[-1])
    for marks in passed_on:
        if 0 < marks <= len(owners):
            costs[owners[marks - 1]] += cost.call
    return Timeline(tuple(numbers), tuple(owners), tuple(costs), tuple(intervals))


def backward_timeline(owners: Sequence[Key], cost: InstrumentCost) -> Timeline:
    """The timeline of a backward pass whose nodes belong to `owners`; overhead is the time before the first node."""
    overhead = overhead_key("backward", "")
    numbers = {key: index for index, key in enumerate(dict.fromkeys([*owners, overhead]))}
    costs = [0.0] * len(numbers)
    for key in owners:
        costs[numbers[key]] += cost.node
    intervals = [numbers[overhead], *(numbers[key] for key in owners)]
    return Timeline(tuple(numbers), tuple(intervals), tuple(costs), tuple(range(1, len(intervals))))
