"""How often a paired time check is wrong: a pool of real pairs of fresh processes, and simulated checks drawn from it.

    python -m benchmarks.time_gate collect [--minutes 15] [--processes 4]    adds pairs to the pool; can be resumed.
        --processes is the number of other processes that compute at the same time; with --repeats 100 a pass takes
        about 0.4 s, and head is slowed by 20 % in place of 2 % and 5 %
    python -m benchmarks.time_gate report [--trials 400]    draws checks from it, prints rates with 95 % intervals

Three cases of a network of about 5 ms on one thread (benchmarks/slowed_network.py): the same code twice, and head
slowed by operators that take 2 % and 5 % of its CPU time. The cases are interleaved, so that the same other processes
disturb all of them. Servers are restarted every eight rounds. Every call is stored, so that other tests can use the
same samples.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pandas

from analyzer.core.frozen import Frozen
from analyzer.regression.paired import one_pair
from analyzer.regression.paired.child import isolation
from analyzer.regression.paired.pair_server_client import Side, SideFailed, SideProcess, WorkerLost, start_sides
from analyzer.regression.paired.sequential_test import (
    CONFIRMATION_ALPHA,
    MIN_PAIRS,
    Rules,
    alpha_share,
    early_outcome,
    final_outcome,
    minimum_detectable_change,
    trimmed_mean,
)
from benchmarks.background_load import other_processes
from benchmarks.common import USUAL_TESTS, append_line, interleave, load_lines, parse_options, rate

ROOT = Path(__file__).parents[1]
POOL = ROOT / "benchmarks" / "results" / "gate-pool.jsonl"
SLOWDOWNS = (0.0, 0.02, 0.05)
SLOWDOWNS_OF_LONG_PASSES = (0.0, 0.2)
FEW_PRODUCTS, MANY_PRODUCTS = 10, 60  # To calibrate how long a product takes.
ROUNDS_PER_SERVER = 8
RESAMPLES = 100


def calibrate(slowdowns: Sequence[float]) -> dict[float, int]:
    """The number of additional matrix products for each slowdown, from median times with none, few and many of them.

    Two counts separate the first product's overhead, which equals several later products. Minima would not do on a
    busy machine: a product runs from the caches, whereas the rest of the pass depends on what others left there.
    """
    import torch

    from benchmarks.slowed_network import Net, inputs

    isolation.retain_freed_memory()  # As the workers do: a pass takes longer without.
    torch.set_num_threads(1)
    networks, (x,) = {str(extra): Net(extra).eval() for extra in (0, FEW_PRODUCTS, MANY_PRODUCTS)}, inputs()
    with torch.inference_mode():
        calls = {extra: partial(network, x) for extra, network in networks.items()}
        none_s, few_s, many_s = interleave(calls, 300, warm_up=0, now=time.process_time).median()
    product_s = (many_s - few_s) / (MANY_PRODUCTS - FEW_PRODUCTS)
    overhead_s = few_s - none_s - FEW_PRODUCTS * product_s
    return {
        slowdown: max(round((slowdown * none_s - overhead_s) / product_s), 1) if slowdown else 0
        for slowdown in slowdowns
    }


def collect(pool: Path, minutes: float, repeats: int) -> None:
    """Appends pairs of every case until the time is up."""
    slowdowns = SLOWDOWNS if repeats == 1 else SLOWDOWNS_OF_LONG_PASSES
    end = time.monotonic() + 60 * minutes
    lines = load_lines(pool)
    extras = {line["arm"]: line["extra"] for line in lines}
    if not extras:
        extras = calibrate(slowdowns)
        print(f"additional products by slowdown: {extras}", flush=True)
    generation = max((line["parents"] for line in lines), default=-1)
    rng = random.Random()
    while time.monotonic() < end:
        generation += 1
        long = {"GATE_REPEATS": str(repeats)}
        slowed = [Side("head", ROOT, environment={"GATE_EXTRA": str(extras[s]), **long}) for s in slowdowns]
        base, *others = start_sides([Side("base", ROOT, environment=long), *slowed])
        heads = dict(zip(slowdowns, others, strict=True))
        try:
            _collect_rounds(pool, base, heads, extras, generation, end, rng)
        except (WorkerLost, SideFailed) as error:
            print(error, file=sys.stderr)
        finally:
            base.close()
        print(f"{len(load_lines(pool))} pairs", flush=True)


def _collect_rounds(
    pool: Path,
    base: SideProcess,
    heads: dict[float, SideProcess],
    extras: dict[float, int],
    generation: int,
    end: float,
    rng: random.Random,
) -> None:
    imports: dict[int, list[str]] = {}
    for _ in range(ROUNDS_PER_SERVER):
        for slowdown in rng.sample(sorted(heads), len(heads)):
            if time.monotonic() > end:
                return
            start = time.monotonic()
            models = [
                "benchmarks/slowed_network.py:plain",
                f"benchmarks/slowed_network.py:{'slowed' if slowdown else 'plain'}",
            ]
            pair = one_pair.measure_pair((base, heads[slowdown]), models, rng, imports=imports)
            line = {
                "arm": slowdown,
                "extra": extras[slowdown],
                "parents": generation,
                "seconds": round(time.monotonic() - start, 3),
                "cpu_ns": [r.device_ns for r in pair.rounds],
                "wall_ns": [r.wall_ns for r in pair.rounds],
            }
            append_line(pool, line)


class PoolPair(Frozen):
    """One pair of the pool. `seconds` is how long it took, `log_ratio` its estimate, computed once."""

    pair: one_pair.Pair
    seconds: float
    log_ratio: float


def load_pool(pool: Path) -> dict[float, list[PoolPair]]:
    """The pairs by slowdown."""
    loaded: dict[float, list[PoolPair]] = {}
    for line in load_lines(pool):
        rounds = zip(line["cpu_ns"], line["wall_ns"], strict=True)
        pair = one_pair.Pair(tuple(one_pair.Round(tuple(cpu), tuple(wall)) for cpu, wall in rounds), line["parents"])
        loaded.setdefault(line["arm"], []).append(PoolPair(pair, line["seconds"], pair.log_ratio))
    return dict(sorted(loaded.items()))


# --- simulated checks ------------------------------------------------------------------------------------------------
def draw_pairs(rng: random.Random, pool: Sequence[PoolPair], budget_s: float) -> list[PoolPair]:
    """A cluster bootstrap: pairs that fit in the budget, whole generations drawn with replacement.

    Pairs of one generation may be correlated; drawn one by one they would make a check look better than it is.
    """
    generations = list(_by_generation(pool).values())
    drawn: list[PoolPair] = []
    while sum(pair.seconds for pair in drawn) < budget_s:
        drawn += rng.choice(generations)
    while sum(pair.seconds for pair in drawn) > budget_s:
        drawn.pop()
    return drawn


def sequential_outcome(drawn: Sequence[PoolPair], rules: Rules) -> str:
    """The outcome of the group-sequential test over pairs in their order, as in the command."""
    logs = [pair.log_ratio for pair in drawn]
    for count in range(1, len(logs) + 1):
        part = alpha_share(count, final=False)
        if part and (outcome := early_outcome(trimmed_mean(logs[:count], part), rules)):
            return outcome
    if len(logs) < MIN_PAIRS:
        return "inconclusive"
    estimate = trimmed_mean(logs, alpha_share(len(logs), final=True))
    regressed = estimate.p_value(math.log1p(rules.tolerance)) <= rules.alpha
    return final_outcome(estimate, rules, regressed=regressed)


def simulate_check(rng: random.Random, pool: Sequence[PoolPair], budget_s: float) -> str:
    """The outcome of a whole check, confirmation included."""
    rules = Rules()
    outcome = sequential_outcome(draw_pairs(rng, pool, budget_s), rules)
    if outcome == "regressed":
        confirmation = draw_pairs(rng, pool, budget_s)
        again = sequential_outcome(confirmation, rules.replace(alpha=CONFIRMATION_ALPHA))
        return outcome if again == "regressed" else "inconclusive"
    return outcome


def usual_tests(rng: random.Random, pool: Sequence[PoolPair], budget_s: float) -> dict[str, bool]:
    """Whether the usual tests alarm: on the wall times of all drawn pairs, and on one process each of two pairs."""

    def calls(drawn: Sequence[PoolPair], side: int) -> list[int]:
        return [ns for pair in drawn for r in pair.pair.rounds for ns in r.wall_ns[side]]

    drawn = draw_pairs(rng, pool, budget_s)
    stored, new = rng.sample(pool, 2)
    samples = {
        "in pairs": (calls(drawn, 0), calls(drawn, 1)),
        "a stored run": (calls([stored], 0), calls([new], 1)),
    }
    return {f"{name}, {how}": test(*samples[how]) for how in samples for name, test in USUAL_TESTS.items()}


def outcome_rates(rng: random.Random, pool: Sequence[PoolPair], budget_s: float, trials: int) -> Iterator[str]:
    """Each outcome's rate with the exact interval of the draw, and the bootstrap interval of the pool."""
    outcomes = Counter(simulate_check(rng, pool, budget_s) for _ in range(trials))
    resampled = []
    for _ in range(RESAMPLES):
        generations = list(_by_generation(pool).values())
        resample = [
            member.replace(pair=member.pair.replace(generation=index))
            for index, members in enumerate(rng.choices(generations, k=len(generations)))
            for member in members
        ]
        resampled.append(Counter(simulate_check(rng, resample, budget_s) for _ in range(RESAMPLES)))
    for outcome in ("regressed", "unchanged", "inconclusive", "improved"):
        low, high = np.quantile([counts[outcome] for counts in resampled], [0.025, 0.975]) / RESAMPLES
        yield f"{outcome:38} {rate(outcomes[outcome], trials)}; pool {100 * low:.0f} to {100 * high:.0f} %"


def report(pool_path: Path, trials: int, budget_s: float) -> None:
    rng = random.Random(1)
    for slowdown, pool in load_pool(pool_path).items():
        if len(pool) < MIN_PAIRS:
            print(f"{100 * slowdown:g} %: {len(pool)} pairs, too few to draw checks from")
            continue
        logs = [pair.log_ratio for pair in pool]
        estimate = trimmed_mean(logs)
        fit = budget_s / fmean(pair.seconds for pair in pool)
        spread = estimate.standard_error * math.sqrt(len(pool))
        print(
            f"{100 * slowdown:g} % slower: {len(pool)} pairs of {len(_by_generation(pool))} generations, "
            f"{1e3 * median(pair.pair.device_s(0) for pair in pool):.2f} ms a pass, {fit:.0f} pairs in "
            f"{budget_s:g} s\n  change {100 * math.expm1(estimate.mean):+.2f} ± {100 * estimate.standard_error:.2f} %, "
            f"spread of a pair {100 * spread:.2f} %, between generations {100 * _between_generations(pool):.2f} %; "
            "minimum detectable change "
            f"{100 * minimum_detectable_change(logs, max(int(fit), MIN_PAIRS), Rules()):.1f} %"
        )
        for text in outcome_rates(rng, pool, budget_s, trials):
            print(f"  {text}")
        alarms = [usual_tests(rng, pool, budget_s) for _ in range(trials)]
        for name in alarms[0]:
            print(f"  {name:38} {rate(sum(alarm[name] for alarm in alarms), trials)}", flush=True)


def _by_generation(pool: Sequence[PoolPair]) -> dict[int, list[PoolPair]]:
    generations: dict[int, list[PoolPair]] = {}
    for pair in pool:
        generations.setdefault(pair.pair.generation, []).append(pair)
    return generations


def _between_generations(pool: Sequence[PoolPair]) -> float:
    """The standard deviation between generations, by analysis of variance; 0 if there is none."""
    logs = np.sort([pair.log_ratio for pair in pool])
    low, high = logs[len(pool) // 10], logs[-1 - len(pool) // 10]  # Winsorized: outliers are not its servers'.
    clipped = pandas.DataFrame([(pair.pair.generation, min(max(pair.log_ratio, low), high)) for pair in pool])
    groups = clipped.groupby(0)[1].agg(["mean", "var", "size"]).query("size > 1")
    if len(groups) < 2:
        return 0.0
    return math.sqrt(max(groups["mean"].var() - groups["var"].mean() / groups["size"].mean(), 0.0))


def main() -> None:
    options = parse_options(
        __doc__,
        what=("collect", "report"),
        pool=POOL,
        minutes=15.0,
        processes=0,
        repeats=1,
        trials=400,
        time_budget=60.0,
    )
    if options.what == "collect":
        with other_processes(options.processes):
            collect(options.pool, options.minutes, options.repeats)
    else:
        report(options.pool, options.trials, options.time_budget)


if __name__ == "__main__":
    main()
