"""How often is the paired time gate wrong? A pool of real pairs of fresh processes, and trials drawn from it.

    python -m benchmarks.time_gate collect [--minutes 15] [--neighbours 4]    adds to the pool; stop and go on
    python -m benchmarks.time_gate report [--trials 400]    draws trials from it, prints rates with 95 % intervals

Three arms of one network of about 5 ms on one thread (benchmarks/slowed.py): the same code twice, and head slowed by
real operators that take 2 % and 5 % of its CPU time. Arms take turns, so that all see the same neighbours. Parents are
new every eight turns. Every call is kept, so that other gates can be tried on the very same samples.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median, variance
from typing import Any

from analyzer.core.frozen import Frozen
from analyzer.regression.paired import pairs
from analyzer.regression.paired.child import isolation
from analyzer.regression.paired.sequential_test import (
    CONFIRM_ALPHA,
    LEAST_PAIRS,
    Estimate,
    Rules,
    estimate,
    outcome,
    settled,
    share,
    smallest,
)
from analyzer.regression.paired.side_process import Failed, Lost, Place, Process, started
from benchmarks.contention import interval
from benchmarks.neighbours import neighbours

ROOT = Path(__file__).parents[1]
POOL = ROOT / "benchmarks" / "results" / "gate-pool.jsonl"
ARMS = (0.0, 0.02, 0.05)
SOME, MANY = 10, 60  # Products, to learn what one takes.
TURNS = 8
RESAMPLED = 100


def calibrated() -> dict[float, int]:
    """How many products more each arm's head makes: by the medians of passes with none, some and many, in turn.

    With two of these the first product's own cost is known apart: it is that of several later ones. On a busy machine
    the fastest would not do: a product lives in the caches, and what the rest takes depends on them.
    """
    import torch

    from benchmarks.slowed import Net, inputs

    isolation.keep_memory()  # As workers do: a pass takes longer without.
    torch.set_num_threads(1)
    nets, (x,) = {extra: Net(extra).eval() for extra in (0, SOME, MANY)}, inputs()
    times: dict[int, list[float]] = {extra: [] for extra in nets}
    with torch.inference_mode():
        for _ in range(300):
            for extra, net in nets.items():
                start = time.process_time()
                net(x)
                times[extra].append(time.process_time() - start)
    none, some, many = (median(times[extra]) for extra in nets)
    one = (many - some) / (MANY - SOME)
    first = some - none - SOME * one
    return {arm: max(round((arm * none - first) / one), 1) if arm else 0 for arm in ARMS}


def collect(pool: Path, minutes: float) -> None:
    """Adds pairs of every arm until the time is up; a line that was written stands."""
    end = time.monotonic() + 60 * minutes
    lines = loaded(pool)
    extras = {line["arm"]: line["extra"] for line in lines}
    if not extras:
        extras = calibrated()
        print(f"products more, by arm: {extras}", flush=True)
    generation = max((line["parents"] for line in lines), default=-1)
    order = random.Random()
    while time.monotonic() < end:
        generation += 1
        head = [Place("head", ROOT, environment={"GATE_EXTRA": str(extras[arm])}) for arm in ARMS]
        base, *others = started([Place("base", ROOT), *head])
        heads = dict(zip(ARMS, others, strict=True))
        try:
            _turns(pool, base, heads, extras, generation, end, order)
        except (Lost, Failed) as error:
            print(error, file=sys.stderr)
        finally:
            base.close()
        print(f"{len(loaded(pool))} pairs", flush=True)


def _turns(
    pool: Path,
    base: Process,
    heads: dict[float, Process],
    extras: dict[float, int],
    generation: int,
    end: float,
    order: random.Random,
) -> None:
    imports: dict[int, list[str]] = {}
    for _ in range(TURNS):
        for arm in order.sample(ARMS, len(ARMS)):
            if time.monotonic() > end:
                return
            start = time.monotonic()
            head = "plain" if not arm else "slowed"
            models = [f"benchmarks/slowed.py:{name}" for name in ("plain", head)]
            pair = pairs.take((base, heads[arm]), models, order, imports=imports)
            line = {
                "arm": arm,
                "extra": extras[arm],
                "parents": generation,
                "seconds": round(time.monotonic() - start, 3),
                "cpu_ns": [one.own_ns for one in pair.rounds],
                "wall_ns": [one.wall_ns for one in pair.rounds],
            }
            with pool.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


def loaded(pool: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pool.read_text(encoding="utf-8").splitlines()] if pool.exists() else []


class Line(Frozen):
    """One pair of the pool, with its estimate worked out once."""

    pair: pairs.Pair
    seconds: float
    log: float


def by_arm(pool: Path) -> dict[float, list[Line]]:
    found: dict[float, list[Line]] = {arm: [] for arm in ARMS}
    for line in loaded(pool):
        rounds = zip(line["cpu_ns"], line["wall_ns"], strict=True)
        pair = pairs.Pair(tuple(pairs.Round(tuple(cpu), tuple(wall)) for cpu, wall in rounds), line["parents"])
        found[line["arm"]].append(Line(pair, line["seconds"], pair.own))
    return found


# --- trials ----------------------------------------------------------------------------------------------------------
def fitting(draw: random.Random, lines: Sequence[Line], budget_s: float) -> list[Line]:
    """Pairs drawn with replacement that fit in the time: all those of some parents, then of others.

    Pairs of the same parents may hang together. Drawn one by one they would not, and a gate would look better than it
    is.
    """
    lots = list(_lots(lines).values())
    chosen: list[Line] = []
    while sum(one.seconds for one in chosen) < budget_s:
        chosen += draw.choice(lots)
    while sum(one.seconds for one in chosen) > budget_s:
        chosen.pop()
    return chosen


def once(lines: Sequence[Line], rules: Rules) -> tuple[Estimate | None, str]:
    """A check's looks over pairs in their order, as the command takes them."""
    logs = [one.log for one in lines]
    for count in range(1, len(logs) + 1):
        if part := share(count, ended=False):
            now = estimate(logs[:count], part)
            if word := settled(now, rules):
                return now, word
    if len(logs) < LEAST_PAIRS:
        return None, "unclear"
    now = estimate(logs, share(len(logs), ended=True))
    grown = now.above(math.log1p(rules.tolerance)) <= rules.alpha
    return now, outcome(now, rules, regressed=grown)


def trial(draw: random.Random, lines: Sequence[Line], budget_s: float) -> str:
    """The word of a whole check, confirmation included."""
    rules = Rules()
    _, word = once(fitting(draw, lines, budget_s), rules)
    if word == "regressed":
        _, again = once(fitting(draw, lines, budget_s), rules.replace(alpha=CONFIRM_ALPHA))
        return word if again == "regressed" else "unclear"
    return word


def others(draw: random.Random, lines: Sequence[Line], budget_s: float) -> dict[str, bool]:
    """Whether the usual gates alarm: on the wall times of all these pairs, and of one process each, of two pairs."""
    from scipy.stats import mannwhitneyu

    def calls(chosen: Sequence[Line], side: int) -> list[int]:
        return [ns for one in chosen for part in one.pair.rounds for ns in part.wall_ns[side]]

    chosen = fitting(draw, lines, budget_s)
    stored, new = draw.sample(lines, 2)
    found = {}
    for how, base, head in (
        ("in pairs", calls(chosen, 0), calls(chosen, 1)),
        ("a stored run", calls([stored], 0), calls([new], 1)),
    ):
        found[f"mean:5%, {how}"] = fmean(head) > 1.05 * fmean(base)
        found[f"min + 5 %, {how}"] = min(head) > 1.05 * min(base)
        found[f"Mann-Whitney p < 0.01, {how}"] = bool(mannwhitneyu(head, base, alternative="greater").pvalue < 0.01)
    return found


def rates(draw: random.Random, lines: Sequence[Line], budget_s: float, trials: int) -> Iterator[str]:
    """Each word's share of so many trials, with the exact interval of the draw and, by resampling it, of the pool."""
    words = Counter(trial(draw, lines, budget_s) for _ in range(trials))
    pools = []
    for _ in range(RESAMPLED):
        lots = list(_lots(lines).items())
        again = [
            one.replace(pair=one.pair.replace(parents=index))
            for index, (_, lot) in enumerate(draw.choices(lots, k=len(lots)))
            for one in lot
        ]
        pools.append(Counter(trial(draw, again, budget_s) for _ in range(RESAMPLED)))
    for word in ("regressed", "unchanged", "unclear", "improved"):
        low, high = interval(words[word], trials)
        shares = sorted(pool[word] / RESAMPLED for pool in pools)
        ends = shares[round(0.025 * RESAMPLED)], shares[round(0.975 * RESAMPLED) - 1]
        yield (
            f"{word:38} {100 * words[word] / trials:5.1f} %  (draw {100 * low:.1f} to {100 * high:.1f} %, "
            f"pool {100 * ends[0]:.0f} to {100 * ends[1]:.0f} %)"
        )


def report(pool: Path, trials: int, budget_s: float) -> None:
    arms = by_arm(pool)
    draw = random.Random(1)
    for arm, lines in arms.items():
        if len(lines) < LEAST_PAIRS:
            print(f"{100 * arm:g} %: {len(lines)} pairs, too few to draw trials from")
            continue
        seen = estimate([one.log for one in lines])
        fit = budget_s / fmean(one.seconds for one in lines)
        name, logs = f"{100 * arm:g} % slower" if arm else "A/A", [one.log for one in lines]
        spread = seen.error * math.sqrt(len(lines))
        print(
            f"{name}: {len(lines)} pairs of {len(_lots(lines))} parents, "
            f"{1e3 * median(one.pair.own_s(0) for one in lines):.2f} ms a pass, {fit:.0f} pairs in {budget_s:g} s\n"
            f"  change {100 * math.expm1(seen.centre):+.2f} ± {100 * seen.error:.2f} %, spread of a pair "
            f"{100 * spread:.2f} %, of which parents share {100 * _shared(lines):.2f} %; smallest change shown "
            f"{100 * smallest(logs, max(int(fit), LEAST_PAIRS), Rules()):.1f} %"
        )
        for text in rates(draw, lines, budget_s, trials):
            print(f"  {text}")
        alarms = [others(draw, lines, budget_s) for _ in range(trials)]
        for name in alarms[0]:
            hits = sum(one[name] for one in alarms)
            low, high = interval(hits, trials)
            print(f"  {name:38} {100 * hits / trials:5.1f} %  (draw {100 * low:.1f} to {100 * high:.1f} %)", flush=True)


def _lots(lines: Sequence[Line]) -> dict[int, list[Line]]:
    """The pairs by their parents."""
    found: dict[int, list[Line]] = {}
    for one in lines:
        found.setdefault(one.pair.parents, []).append(one)
    return found


def _shared(lines: Sequence[Line]) -> float:
    """By analysis of variance: what parents add to the spread of their pairs' means; 0 if they add nothing."""
    ordered = sorted(one.log for one in lines)
    least, most = ordered[len(lines) // 10], ordered[-1 - len(lines) // 10]  # A wild pair would pass for its parents.
    found = ([min(max(one.log, least), most) for one in lot] for lot in _lots(lines).values())
    lots = [logs for logs in found if len(logs) > 1]
    if len(lots) < 2:
        return 0.0
    within = fmean(variance(logs) for logs in lots)
    size = fmean(len(logs) for logs in lots)
    return math.sqrt(max(variance([fmean(logs) for logs in lots]) - within / size, 0.0))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("collect", "report"))
    parser.add_argument("--pool", type=Path, default=POOL)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--neighbours", type=int, default=0, metavar="N", help="while collecting: others that compute")
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--time-budget", type=float, default=60.0)
    asked = parser.parse_args(arguments)
    if asked.what == "collect":
        with neighbours(asked.neighbours):
            collect(asked.pool, asked.minutes)
    else:
        report(asked.pool, asked.trials, asked.time_budget)
    return 0


if __name__ == "__main__":
    sys.exit(main())
