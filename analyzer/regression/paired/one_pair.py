"""One pair: two fresh workers, base and head, that run alternately in rounds ordered A B B A or B A A B.

A disturbance of the machine, such as another process or a falling clock speed, affects both halves of a round. What is
particular to one process, such as its memory layout, affects all its calls. A pair is therefore one observation,
however many calls it makes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import Input
from analyzer.regression.paired.pair_server_client import ModelMissing, SideFailed, SideProcess, WorkerLost

# Several times as long as starting two workers, and short enough for ten pairs of a large model in a minute; measured
# by benchmarks/time_gate.py.
PAIR_S = 0.8
MIN_ROUNDS, MAX_ROUNDS = 1, 12
BLOCK_S = 0.01  # Shorter than most disturbances, so that each affects both sides.
# Timed calls of a block. An additional first call, for which the caches hold the other side's data, is dropped.
MIN_CALLS, MAX_CALLS = 2, 12
MIN_SPAN_S = 1e-3  # Least time between two readings of the clock.
BUILD_LIMIT_S = 120.0
LIMIT_S, LIMIT_FACTOR = 20.0, 100.0

BASE, HEAD = 0, 1
ORDERS = ((BASE, HEAD, HEAD, BASE), (HEAD, BASE, BASE, HEAD))

Calls: TypeAlias = tuple[int, ...]  # Times of one side's calls in one round, in nanoseconds.


class Round(Frozen):
    """The times of both sides' calls, indexed by BASE and HEAD.

    `device_ns` is tested: the worker's CPU time, or the GPU's time between two events of its queue. `wall_ns` is shown.
    """

    device_ns: tuple[Calls, Calls]
    wall_ns: tuple[Calls, Calls]


class Pair(Frozen):
    """The rounds of two workers. Pairs of one `generation` were forked from the same two servers and are correlated."""

    rounds: tuple[Round, ...]
    generation: int = 0

    @property
    def log_ratio(self) -> float:
        """log(head ÷ base) of device time: the median over rounds of the ratio of the median calls.

        Minima instead of medians spread as much or up to half more.
        """
        return median(math.log(median(r.device_ns[HEAD]) / median(r.device_ns[BASE])) for r in self.rounds)

    @property
    def wall_log_ratio(self) -> float:
        return median(math.log(median(r.wall_ns[HEAD]) / median(r.wall_ns[BASE])) for r in self.rounds)

    def device_s(self, side: int) -> float:
        """A side's median device time of a call, in seconds."""
        return median(median(r.device_ns[side]) for r in self.rounds) * 1e-9

    def wall_s(self, side: int) -> float:
        return median(median(r.wall_ns[side]) for r in self.rounds) * 1e-9


class Plan(Frozen):
    """How a pair is timed: a block has `calls` timed calls, each of `burst` passes."""

    rounds: int
    calls: int
    burst: int


def measure_pair(
    sides: Sequence[SideProcess],
    models: Sequence[str],
    rng: random.Random,
    *,
    generation: int = 0,
    imports: dict[int, list[str]] | None = None,
    inputs: Sequence[Input] = (),
    batch: int = 1,
) -> Pair:
    """Times one pair of fresh workers; see `start_workers`."""
    imports = {} if imports is None else imports
    call_s = start_workers(sides, models, rng, imports=imports, inputs=inputs, batch=batch)
    plan = plan_pair(call_s)
    command = {"do": "block", "calls": plan.calls + 1, "burst": plan.burst}
    limit_s = LIMIT_S + LIMIT_FACTOR * (plan.calls + 1) * plan.burst * call_s
    rounds = []
    for _ in range(plan.rounds):
        blocks: tuple[list[Mapping[str, Any]], ...] = ([], [])
        for index in rng.choice(ORDERS):
            blocks[index].append(request(sides[index], command, limit_s, "block"))
        rounds.append(Round(_times(blocks, "device_ns"), _times(blocks, "wall_ns")))
    end_workers(sides)
    return Pair(tuple(rounds), generation)


def start_workers(
    sides: Sequence[SideProcess],
    models: Sequence[str],
    rng: random.Random,
    *,
    imports: dict[int, list[str]],
    inputs: Sequence[Input] = (),
    batch: int = 1,
) -> float:
    """Starts a fresh worker on both sides, with the same weights and the same memory layout, and warms them up.

    Returns the longer time of a call in seconds. Without `inputs` each side's model runs on its own.
    `imports` collects by side which modules its workers had to import, so that the server imports them before the next
    fork. Raises WorkerLost for a worker that was killed or hung, SideFailed for a model that a side cannot run.
    """
    seed = rng.randrange(2**31)
    warm: dict[int, Mapping[str, Any]] = {}
    missing: list[ModelMissing] = []
    for index in rng.sample((BASE, HEAD), 2):
        side, known = sides[index].side, imports.get(index, [])
        command = {"do": "worker", "model": models[index], "seed": seed, "device": side.device,
                   "other_root": side.other_root, "imports": known, "batch": batch,
                   "inputs": [vars(spec) for spec in inputs]}  # fmt: skip
        try:
            warm[index] = request(sides[index], command, BUILD_LIMIT_S, "warm")
        except ModelMissing as error:
            missing.append(error)  # Only if the other side has the model was it added or removed.
            continue
        imports[index] = list(dict.fromkeys([*known, *warm[index]["imported"]]))
        _require_own_code(side.name, warm[index]["foreign_modules"])
    _require_equal_inputs(*(warm[index]["inputs"] for index in (BASE, HEAD) if index in warm))
    if missing:
        raise missing[0] if warm else SideFailed(str(missing[0]))
    return max(float(reply["call_s"]) for reply in warm.values())


def end_workers(sides: Sequence[SideProcess]) -> None:
    for side in sides:
        side.request({"do": "end"}, LIMIT_S)


def plan_pair(call_s: float) -> Plan:
    """The plan for a model, from the device time of one call in seconds.

    >>> plan_pair(0.005)  # 4 blocks of 2 + 1 calls take 60 ms
    Plan(rounds=12, calls=2, burst=1)
    >>> plan_pair(0.09)  # 4 blocks of 2 + 1 calls take 1.08 s
    Plan(rounds=1, calls=2, burst=1)
    >>> plan_pair(20e-6)
    Plan(rounds=12, calls=10, burst=50)
    """
    burst = max(1, math.ceil(MIN_SPAN_S / max(call_s, 1e-7)))
    calls = min(max(round(BLOCK_S / (call_s * burst)), MIN_CALLS), MAX_CALLS)
    rounds = int(PAIR_S / (4 * (calls + 1) * burst * call_s))
    return Plan(min(max(rounds, MIN_ROUNDS), MAX_ROUNDS), calls, burst)


def _require_own_code(name: str, foreign_modules: Sequence[str]) -> None:
    """Raises SideFailed if a side imported the other side's code, since the comparison would be meaningless."""
    if foreign_modules:
        shown = ", ".join(foreign_modules[:3]) + (" and others" if len(foreign_modules) > 3 else "")
        raise SideFailed(
            f"{name}: it imported {shown} from the other side's folder, so that both would be timed with the same "
            "code; give base a separate Python with --base-python"
        )


def _require_equal_inputs(*inputs: Sequence[str]) -> None:
    """Raises SideFailed if base and head run on other inputs: their times have different causes."""
    if len(inputs) == 2 and inputs[0] != inputs[1]:
        base, head = (", ".join(texts) or "none" for texts in inputs)
        raise SideFailed(f"the inputs differ: base {base}, head {head}")


def request(side: SideProcess, command: Mapping[str, Any], limit_s: float, event: str) -> Mapping[str, Any]:
    reply = side.request(command, limit_s)
    if reply["event"] != event:
        raise WorkerLost(f"{side.side.name}: its worker ended early")
    return reply


def _times(blocks: Sequence[Sequence[Mapping[str, Any]]], key: str) -> tuple[Calls, Calls]:
    """Both sides' times, without the first call of each block."""
    base, head = (tuple(ns for block in side for ns in block[key][1:]) for side in blocks)
    return base, head
