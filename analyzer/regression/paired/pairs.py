"""One pair: a fresh worker a side, both alive, one of them running at a time, in rounds A B B A or B A A B.

What is slow for both, such as a busy neighbour or a clock that falls, is in both halves of every round. What only one
process has, such as where its memory lies, is the same for all calls of a pair: a pair is one estimate, however many
calls it makes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.regression.paired.side_process import Failed, Lost, Parent

# Calls of a pair, several times as long as starting its two workers, and few enough for ten pairs of a large model in a
# minute: benchmarks/time_gate.py keeps every call.
PAIR_S = 0.8
LEAST_ROUNDS, MOST_ROUNDS = 1, 12
BLOCK_S = 0.01  # What disturbs a machine lasts for longer: many short blocks see the same of it on both sides.
# Timed. One more comes first, finds the other side's data in the caches, and is dropped.
LEAST_CALLS, MOST_CALLS = 2, 12
BURST_S = 1e-3  # What one reading of the clock covers at least.
BUILD_S = 120.0
LIMIT_S, LIMIT_FACTOR = 20.0, 100.0

BASE, HEAD = 0, 1
ORDERS = ((BASE, HEAD, HEAD, BASE), (HEAD, BASE, BASE, HEAD))

# Of one side in one round: each call's time in nanoseconds, the first of each block left out.
Calls: TypeAlias = tuple[int, ...]


class Round(Frozen):
    """The calls of both sides, by side: base and head.

    `own_ns` is what is judged: the worker's CPU time, or the device's time between two events of its queue.
    """

    own_ns: tuple[Calls, Calls]
    wall_ns: tuple[Calls, Calls]


class Pair(Frozen):
    """Rounds of two workers. `parents` counts the parents they were forked of: what these have, their pairs share."""

    rounds: tuple[Round, ...]
    parents: int = 0

    @property
    def own(self) -> float:
        """The natural logarithm of head ÷ base in their own time: the median over rounds of that of their median calls.

        Not of their fastest, which come of one lucky moment and spread as much or up to a half more.
        """
        return median(math.log(median(one.own_ns[HEAD]) / median(one.own_ns[BASE])) for one in self.rounds)

    @property
    def wall(self) -> float:
        return median(math.log(median(one.wall_ns[HEAD]) / median(one.wall_ns[BASE])) for one in self.rounds)

    def own_s(self, side: int) -> float:
        """A side's typical own time of a call."""
        return median(median(one.own_ns[side]) for one in self.rounds) * 1e-9

    def wall_s(self, side: int) -> float:
        return median(median(one.wall_ns[side]) for one in self.rounds) * 1e-9


class Plan(Frozen):
    """How a pair is timed: `calls` timed calls make a block, of `burst` passes each."""

    rounds: int
    calls: int
    burst: int


def take(
    sides: Sequence[Parent],
    models: Sequence[str],
    order: random.Random,
    *,
    parents: int = 0,
    imports: dict[int, list[str]] | None = None,
) -> Pair:
    """One pair of fresh workers of `sides`, base and head, each with its model; both use the same weights and lie in
    memory alike as far as they do the same.

    `imports` remembers, by side, what its workers had to import, so that its parent does so before the next pair.
    Raises Lost for a worker that was killed or hung, Failed for a model that a side cannot run.
    """
    imports = {} if imports is None else imports
    seed = order.randrange(2**31)
    warm: dict[int, Mapping[str, Any]] = {}
    for side in order.sample((BASE, HEAD), 2):
        place, known = sides[side].place, imports.get(side, [])
        command = {"do": "worker", "model": models[side], "seed": seed, "device": place.device,
                   "apart": place.apart, "imports": known}  # fmt: skip
        warm[side] = _asked(sides[side], command, BUILD_S, "warm")
        imports[side] = list(dict.fromkeys([*known, *warm[side]["imported"]]))
        _own_code(place.name, warm[side]["strangers"])
    call_s = max(one["call_s"] for one in warm.values())
    planned = plan(call_s)
    command = {"do": "block", "calls": planned.calls + 1, "burst": planned.burst}
    limit_s = LIMIT_S + LIMIT_FACTOR * (planned.calls + 1) * planned.burst * call_s
    rounds = []
    for _ in range(planned.rounds):
        told: tuple[list[Mapping[str, Any]], ...] = ([], [])
        for side in order.choice(ORDERS):
            told[side].append(_asked(sides[side], command, limit_s, "block"))
        rounds.append(_round(told))
    for one in sides:
        one.ask({"do": "end"}, LIMIT_S)
    return Pair(tuple(rounds), parents)


def plan(call_s: float) -> Plan:
    """By how long a call takes, in seconds of its own time.

    >>> plan(0.005)  # 4 blocks of 2 + 1 calls are 60 ms
    Plan(rounds=12, calls=2, burst=1)
    >>> plan(0.09)  # 4 blocks of 2 + 1 calls are 1.08 s
    Plan(rounds=1, calls=2, burst=1)
    >>> plan(20e-6)
    Plan(rounds=12, calls=10, burst=50)
    """
    burst = max(1, math.ceil(BURST_S / max(call_s, 1e-7)))
    calls = min(max(round(BLOCK_S / (call_s * burst)), LEAST_CALLS), MOST_CALLS)
    rounds = int(PAIR_S / (4 * (calls + 1) * burst * call_s))
    return Plan(min(max(rounds, LEAST_ROUNDS), MOST_ROUNDS), calls, burst)


def _own_code(side: str, strangers: Sequence[str]) -> None:
    """Raises Failed if a side runs the other's code: the two would be alike, and the verdict worth nothing."""
    if strangers:
        shown = ", ".join(strangers[:3]) + (" and others" if len(strangers) > 3 else "")
        raise Failed(
            f"{side}: it imported {shown} from the other side's folder, so that both would be timed with the same "
            "code; give it a Python of its own with --base-python"
        )


def _asked(side: Parent, command: Mapping[str, Any], limit_s: float, event: str) -> Mapping[str, Any]:
    answer = side.ask(command, limit_s)
    if answer["event"] != event:
        raise Lost(f"{side.place.name}: its worker ended early")
    return answer


def _round(told: Sequence[Sequence[Mapping[str, Any]]]) -> Round:
    def of(side: int, key: str) -> Calls:
        return tuple(ns for answer in told[side] for ns in answer[key][1:])

    return Round(
        (of(BASE, "own_ns"), of(HEAD, "own_ns")),
        (of(BASE, "wall_ns"), of(HEAD, "wall_ns")),
    )
