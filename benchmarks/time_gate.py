"""How often is the paired time gate wrong? A pool of real pairs of fresh processes, and trials drawn from it.

    python -m benchmarks.time_gate collect [--minutes 15]    adds to the pool; stop and go on at any time
    python -m benchmarks.time_gate report [--trials 400]     draws trials from it, prints rates with 95 % intervals

Three arms of one network of about 5 ms on one thread (benchmarks/slowed.py): the same code twice, and head slowed by
real operators that take 2 % and 5 % of its CPU time. Arms take turns, so that all see the same neighbours. Parents are
new every eight turns. Every call is kept, so that other gates can be tried on the very same samples.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from analyzer.regression.paired import pairs
from analyzer.regression.paired.parent import Failed, Lost, Place, Process, started

ROOT = Path(__file__).parents[1]
POOL = ROOT / "benchmarks" / "results" / "gate-pool.jsonl"
ARMS = (0.0, 0.02, 0.05)
TURNS = 8


def calibrated() -> float:
    """The share of the network's CPU time that one more product takes: in turn with none, by the medians of many.

    On a busy machine the fastest would not do: a product lives in the caches, and what the rest takes depends on them.
    """
    import torch

    from benchmarks.slowed import Net, inputs

    torch.set_num_threads(1)
    nets, (x,) = (Net().eval(), Net(100).eval()), inputs()
    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for _ in range(300):
            for which, net in enumerate(nets):
                start = time.process_time()
                net(x)
                times[which].append(time.process_time() - start)
    return (median(times[1]) / median(times[0]) - 1) / 100


def collect(pool: Path, minutes: float) -> None:
    """Adds pairs of every arm until the time is up; a line that was written stands."""
    end = time.monotonic() + 60 * minutes
    lines = loaded(pool)
    extras = {line["arm"]: line["extra"] for line in lines}
    if not extras:
        one = calibrated()
        extras = {arm: round(arm / one) for arm in ARMS}
        print(f"a product takes {100 * one:.3f} % of a pass; " + str(extras), flush=True)
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
                "cpu_ns": [one.cpu_ns for one in pair.rounds],
                "wall_ns": [one.wall_ns for one in pair.rounds],
            }
            with pool.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


def loaded(pool: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pool.read_text(encoding="utf-8").splitlines()] if pool.exists() else []


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, default=POOL)
    parser.add_argument("--minutes", type=float, default=15)
    asked = parser.parse_args(arguments)
    collect(asked.pool, asked.minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
