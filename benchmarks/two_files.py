"""How often `analyze check FILE --against FILE` is wrong: `python -m benchmarks.two_files collect 80`, then `report`.

Real runs of pytest-benchmark of one small suite, a fresh process each, nothing changed between them; pairs of them are
drawn, as they are and with one benchmark's samples made longer. What pytest-benchmark and others would say of the same
pairs stands beside it. `collect` adds runs to those that are there; --folder names another place. Intervals: runs drawn
anew, 95 %.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TypeAlias

import numpy as np
from scipy.stats import mannwhitneyu

from analyzer.history.pytest_benchmark import Benchmark, Run, read
from analyzer.regression.benchmarks.compare import compare
from analyzer.regression.paired.sequential_test import Rules

PLACE = Path(".benchmarks") / "two_files"
SUITE = """
import hashlib, json, random, re, zlib
import numpy as np, pytest

draw = random.Random(1)
TEXT = json.dumps([{"a": draw.random(), "b": str(draw.random())} for _ in range(2000)])
LIST = [draw.random() for _ in range(20000)]
DICT = {str(i): i for i in range(20000)}
SMALL = np.random.default_rng(0).normal(size=(300, 300))
BIG = np.random.default_rng(0).normal(size=4_000_000)

def loop():
    s = 0
    for i in range(20000):
        s += i * i % 7
    return s

WORK = {
    "loop": loop,
    "json": lambda: json.loads(TEXT),
    "dumps": lambda: json.dumps(LIST),
    "sort": lambda: sorted(LIST),
    "regex": lambda: re.findall(r"\\d+\\.\\d+", TEXT),
    "zlib": lambda: zlib.compress(TEXT.encode(), 3),
    "sha": lambda: hashlib.sha256(TEXT.encode()).digest(),
    "matmul": lambda: SMALL @ SMALL,
    "memory": lambda: BIG.sum(),
    "copy": lambda: BIG.copy(),
    "dict": lambda: sum(DICT[key] for key in DICT),
    "tiny": lambda: len(DICT),
    "fft": lambda: np.fft.fft(BIG[:65536]),
    "str": lambda: "".join(map(str, range(5000))),
}

@pytest.mark.parametrize("name", sorted(WORK))
def test_work(benchmark, name):
    benchmark(WORK[name])
"""
PAIRS = 400
RESAMPLES = 1000
LEAST_RUNS = 4
STEPS = (0.2, 0.5, 1.0)
Judge: TypeAlias = Callable[[Benchmark, Benchmark], bool]


def collect(place: Path, count: int) -> None:
    place.mkdir(parents=True, exist_ok=True)
    suite = place / "test_suite.py"
    suite.write_text(SUITE, encoding="utf-8")
    first = 1 + max((int(path.stem) for path in place.glob("*.json")), default=0)
    options = ("--benchmark-max-time=0.4", "--benchmark-min-rounds=5", "-q", "-p", "no:cacheprovider")
    for number in range(first, first + count):
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--benchmark-json={number:03}.json", suite.name],
            cwd=place, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def slowed(one: Benchmark, step: float) -> Benchmark:
    samples = tuple(sample * (1 + step) for sample in one.samples_s)
    return one.replace(median_s=one.median_s * (1 + step), samples_s=samples)


def mann_whitney(base: Benchmark, head: Benchmark) -> bool:
    return bool(mannwhitneyu(head.samples_s, base.samples_s, alternative="greater").pvalue < 0.01)


PEERS: dict[str, Judge] = {
    "mean + 5 %": lambda base, head: fmean(head.samples_s) > 1.05 * fmean(base.samples_s),
    "minimum + 5 %": lambda base, head: min(head.samples_s) > 1.05 * min(base.samples_s),
    "Mann-Whitney p < 0.01": mann_whitney,
}


def ours(base: Run, head: Run) -> set[str]:
    return {one.name for one in compare(base, head, Rules()).failures}


def by(judge: Judge) -> Callable[[Run, Run], set[str]]:
    return lambda base, head: {
        b.name for b, h in zip(base.benchmarks, head.benchmarks, strict=True) if judge(b, h)
    }  # fmt: skip


def share(hits: Sequence[bool], pairs: Sequence[tuple[int, int]], runs: int) -> str:
    """A share of the pairs, and its interval when runs are drawn anew: pairs share runs, and are not so many as they
    look."""
    draw, seen = np.random.default_rng(0), np.array(hits, float)
    first, second = np.array(pairs).T
    found = []
    for _ in range(RESAMPLES):
        times = np.bincount(draw.integers(0, runs, runs), minlength=runs)
        weights = times[first] * times[second]
        found.append(float((weights * seen).sum() / max(weights.sum(), 1)))
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{100 * seen.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def report(place: Path) -> None:
    runs = [read(path) for path in sorted(place.glob("*.json"))]
    if len(runs) < LEAST_RUNS:
        raise SystemExit(
            f"{len(runs)} runs in {place}; wanted {LEAST_RUNS} or more: python -m benchmarks.two_files collect 80"
        )
    draw = np.random.default_rng(0)
    every = [(a, b) for a in range(len(runs)) for b in range(len(runs)) if a != b]
    pairs = [every[index] for index in draw.permutation(len(every))[:PAIRS]]
    apart = [abs(h.median_s / b.median_s - 1) for a, c in pairs
             for b, h in zip(runs[a].benchmarks, runs[c].benchmarks, strict=True)]  # fmt: skip
    over, usual = fmean(x > 0.05 for x in apart), median(apart)
    print(f"{len(runs)} runs of {len(runs[0].benchmarks)} benchmarks, {len(pairs)} pairs: medians differ by more "
          f"than 5 % in {100 * over:.0f} %, by {100 * usual:.0f} % in half")  # fmt: skip
    print("| called slower | equal, any | " + " | ".join(f"{step:+.0%}" for step in STEPS) + " |")
    print("|:--|" + "--:|" * (1 + len(STEPS)))
    for count in (len(runs[0].benchmarks), 5, 1):
        taken = [cut(runs, pair, sorted(draw.choice(len(runs[0].benchmarks), count, replace=False))) for pair in pairs]
        for name, judge in {"analyze check": ours, **{name: by(judge) for name, judge in PEERS.items()}}.items():
            rates = [share(hits(taken, step, judge), pairs, len(runs)) for step in (0.0, *STEPS)]
            print(f"| {count} benchmark{'s' if count > 1 else ''}, {name} | " + " | ".join(rates) + " |", flush=True)
        kept = [found_as_shown(*pair, number % count) for number, pair in enumerate(taken)]
        told = [number for number, one in enumerate(kept) if one is not None]
        rate = share([bool(kept[number]) for number in told], [pairs[number] for number in told], len(runs))
        print(f"{count}: `shows` names a growth in {100 * len(told) / len(kept):.0f} %, and that is found in {rate}")


def cut(runs: Sequence[Run], pair: tuple[int, int], parts: Sequence[int]) -> tuple[Run, Run]:
    """A pair with those benchmarks alone."""
    base, head = (runs[at].replace(benchmarks=tuple(runs[at].benchmarks[part] for part in parts)) for at in pair)
    return base, head


def hits(taken: Sequence[tuple[Run, Run]], step: float, judge: Callable[[Run, Run], set[str]]) -> list[bool]:
    """Of pairs as they are: whether any benchmark is called slower. With one slowed: whether that one is."""
    found = []
    for number, (base, head) in enumerate(taken):
        target = number % len(head.benchmarks)
        said = judge(base, with_slowed(head, target, step))
        found.append(bool(said) if not step else head.benchmarks[target].name in said)
    return found


def with_slowed(run: Run, target: int, step: float) -> Run:
    return run.replace(
        benchmarks=tuple(slowed(one, step) if at == target else one for at, one in enumerate(run.benchmarks))
    )


def found_as_shown(base: Run, head: Run, target: int) -> bool | None:
    """Whether one that is slower by what the files say they can show is called so; None where they show nothing."""
    name = head.benchmarks[target].name
    shown = next(one.smallest for one in compare(base, head, Rules()).compared if one.name == name)
    return None if shown is None else name in ours(base, with_slowed(head, target, shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("do", choices=["collect", "report"])
    parser.add_argument("runs", type=int, nargs="?", default=80)
    parser.add_argument("--folder", type=Path, default=PLACE)
    asked = parser.parse_args()
    if asked.do == "collect":
        collect(asked.folder, asked.runs)
    else:
        report(asked.folder)


if __name__ == "__main__":
    main()
