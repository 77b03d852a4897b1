"""The modules of a slower model whose own time changed, from pairs of workers that time each module. Pure, but for the
measurement."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import Input
from analyzer.regression.paired.one_pair import BASE, HEAD, LIMIT_FACTOR, LIMIT_S, end_workers, request, start_workers
from analyzer.regression.paired.pair_server_client import SideProcess
from analyzer.regression.paired.sequential_test import holm_levels

PAIRS, ROUNDS = 8, 5
PASSES_S = 0.05  # Of the passes of one side in a round.
MAX_PASSES = 20
ALPHA = 0.01  # That any module is named whose time is equal.

Times: TypeAlias = tuple[Mapping[str, float], Mapping[str, float]]  # Seconds by path of base and of head, of one pair.


class ModuleTime(Frozen):
    """A module's own time in a pass, without its submodules, in seconds. `low` and `high` bound head - base at 99 %
    for all modules together.

    A side that lacks the module has None.
    """

    path: str
    base_s: float | None
    head_s: float | None
    low: float | None = None
    high: float | None = None

    @property
    def difference_s(self) -> float:
        return (self.head_s or 0.0) - (self.base_s or 0.0)


def measure_modules(
    sides: Sequence[SideProcess],
    model: str,
    rng: random.Random,
    *,
    inputs: Sequence[Input] = (),
    batch: int = 1,
    imports: dict[int, list[str]],
) -> list[Times]:
    """The times of every module in PAIRS pairs of fresh workers, base and head in random order in each round.

    Raises WorkerLost and SideFailed as `measure_pair` does.
    """
    pairs: list[Times] = []
    for _ in range(PAIRS):
        call_s = start_workers(sides, (model, model), rng, imports=imports, inputs=inputs, batch=batch)
        passes = min(max(int(PASSES_S / call_s), 1), MAX_PASSES)
        command = {"do": "modules", "passes": passes}
        rounds: tuple[list[dict[str, int]], ...] = ([], [])
        for _ in range(ROUNDS):
            for index in rng.sample((BASE, HEAD), 2):
                reply = request(sides[index], command, LIMIT_S + LIMIT_FACTOR * passes * call_s, "modules")
                rounds[index].append(reply["times_ns"])
        end_workers(sides)
        pairs.append((_medians(rounds[BASE]), _medians(rounds[HEAD])))
    return pairs


def _medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """In seconds; modules that ran in every round."""
    paths = [path for path in rounds[0] if all(path in times for times in rounds)]
    return {path: 1e-9 * median(times[path] for times in rounds) for path in paths}


def changed_modules(pairs: Sequence[Times]) -> tuple[ModuleTime, ...]:
    """The modules whose own time differs, by Student's t over pairs with Holm's correction, the largest first.

    Modules that one side lacks are among them.
    """
    from scipy.stats import t

    base, head = ({path: [pair[side][path] for pair in pairs] for path in _paths(pairs, side)} for side in (BASE, HEAD))
    differences = {path: [b - a for a, b in zip(base[path], head[path], strict=True)] for path in base if path in head}
    errors = {path: stdev(values) / math.sqrt(len(values)) for path, values in differences.items()}
    p_values = {
        path: 2 * float(t.sf(abs(fmean(values)) / max(errors[path], 1e-12), len(values) - 1))
        for path, values in differences.items()
    }
    modules = [ModuleTime(path, median(values), None) for path, values in base.items() if path not in head]
    modules += [ModuleTime(path, None, median(values)) for path, values in head.items() if path not in base]
    for path, level in holm_levels(p_values, ALPHA).items():
        if p_values[path] > level:
            break  # Holm's procedure goes from the smallest p-value to the first that it does not reject.
        mean, margin = fmean(differences[path]), float(t.isf(level / 2, len(pairs) - 1)) * errors[path]
        modules.append(ModuleTime(path, median(base[path]), median(head[path]), mean - margin, mean + margin))
    return tuple(sorted(modules, key=lambda module: -abs(module.difference_s)))


def _paths(pairs: Sequence[Times], side: int) -> list[str]:
    return [path for path in pairs[0][side] if all(path in pair[side] for pair in pairs)]
