"""How often `analyze check FILE --against FILE` is wrong: `python -m benchmarks.file_gate collect`, then `report`.

Draws pairs of real, equal runs of a small pytest-benchmark suite, each from a fresh process, as they are and with one
benchmark's samples multiplied. Usual tests are applied to the same pairs. `collect` adds --runs 80 to the folder;
--folder names another. Intervals: 95 % percentile bootstrap over runs (Efron and Tibshirani 1993, ch. 13).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TypeAlias

import numpy as np

from analyzer.regression.benchmarks.compare_runs import compare_runs
from analyzer.regression.paired.sequential_test import Rules
from analyzer.trends.pytest_benchmark import BenchmarkRun, read_run
from benchmarks.common import USUAL_TESTS, parse_options

FOLDER = Path(".benchmarks") / "two_files"
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
MIN_RUNS = 4
SLOWDOWNS = (0.2, 0.5, 1.0)
RunTest: TypeAlias = Callable[[BenchmarkRun, BenchmarkRun], set[str]]


def collect(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    suite = folder / "test_suite.py"
    suite.write_text(SUITE, encoding="utf-8")
    first = 1 + max((int(path.stem) for path in folder.glob("*.json")), default=0)
    options = ("--benchmark-max-time=0.4", "--benchmark-min-rounds=5", "-q", "-p", "no:cacheprovider")
    for number in range(first, first + count):
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--benchmark-json={number:03}.json", suite.name],
            cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def analyze_check(base: BenchmarkRun, head: BenchmarkRun) -> set[str]:
    return {change.model for change in compare_runs(base, head, Rules()).failures}


def on_each_benchmark(test: Callable[[Sequence[float], Sequence[float]], bool]) -> RunTest:
    return lambda base, head: {
        b.name for b, h in zip(base.benchmarks, head.benchmarks, strict=True) if test(b.samples_s, h.samples_s)
    }  # fmt: skip


def rate(hits: Sequence[bool], pairs: Sequence[tuple[int, int]], runs: int) -> str:
    """A rate with its bootstrap interval. Runs are resampled and not pairs, since pairs share runs."""
    rng, values = np.random.default_rng(0), np.array(hits, float)
    first, second = np.array(pairs).T
    multiplicities = rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
    weights = multiplicities[:, first] * multiplicities[:, second]
    low, high = np.quantile(weights @ values / np.maximum(weights.sum(axis=1), 1), [0.025, 0.975])
    return f"{100 * values.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def report(folder: Path) -> None:
    runs = [read_run(path) for path in sorted(folder.glob("*.json"))]
    if len(runs) < MIN_RUNS:
        sys.exit(f"{len(runs)} runs in {folder}; wanted {MIN_RUNS} or more: python -m benchmarks.file_gate collect")
    rng = np.random.default_rng(0)
    all_pairs = [(a, b) for a in range(len(runs)) for b in range(len(runs)) if a != b]
    pairs = [all_pairs[index] for index in rng.permutation(len(all_pairs))[:PAIRS]]
    differences = [abs(h.median_s / b.median_s - 1) for a, c in pairs
                   for b, h in zip(runs[a].benchmarks, runs[c].benchmarks, strict=True)]  # fmt: skip
    above = fmean(difference > 0.05 for difference in differences)
    print(f"{len(runs)} runs of {len(runs[0].benchmarks)} benchmarks, {len(pairs)} pairs: medians differ by more "
          f"than 5 % in {100 * above:.0f} %, by {100 * median(differences):.0f} % in half")  # fmt: skip
    print("| called slower | equal, any | " + " | ".join(f"{step:+.0%}" for step in SLOWDOWNS) + " |")
    print("|:--|" + "--:|" * (1 + len(SLOWDOWNS)))
    for count in (len(runs[0].benchmarks), 5, 1):
        chosen = [
            select(runs, pair, sorted(rng.choice(len(runs[0].benchmarks), count, replace=False))) for pair in pairs
        ]
        tests: dict[str, RunTest] = {"analyze check": analyze_check}
        tests |= {name: on_each_benchmark(test) for name, test in USUAL_TESTS.items()}
        for name, test in tests.items():
            rates = [rate(alarms(chosen, step, test), pairs, len(runs)) for step in (0.0, *SLOWDOWNS)]
            print(f"| {count} benchmark{'s' if count > 1 else ''}, {name} | " + " | ".join(rates) + " |", flush=True)
        results = [detects_minimum(*pair, number % count) for number, pair in enumerate(chosen)]
        defined = [number for number, result in enumerate(results) if result is not None]
        detected = rate([bool(results[number]) for number in defined], [pairs[number] for number in defined], len(runs))
        share = 100 * len(defined) / len(results)
        print(f"{count}: a minimum detectable change exists in {share:.0f} %, and is detected in {detected}")


def select(
    runs: Sequence[BenchmarkRun], pair: tuple[int, int], indices: Sequence[int]
) -> tuple[BenchmarkRun, BenchmarkRun]:
    """A pair of runs with these benchmarks alone."""
    base, head = (
        runs[number].replace(benchmarks=tuple(runs[number].benchmarks[index] for index in indices)) for number in pair
    )
    return base, head


def alarms(chosen: Sequence[tuple[BenchmarkRun, BenchmarkRun]], step: float, test: RunTest) -> list[bool]:
    """For step 0, whether any benchmark is called slower; else whether the benchmark that was slowed is."""
    results = []
    for number, (base, head) in enumerate(chosen):
        target = number % len(head.benchmarks)
        slower = test(base, with_slowdown(head, target, step))
        results.append(bool(slower) if not step else head.benchmarks[target].name in slower)
    return results


def with_slowdown(run: BenchmarkRun, target: int, step: float) -> BenchmarkRun:
    benchmark = run.benchmarks[target]
    samples = tuple(sample * (1 + step) for sample in benchmark.samples_s)
    slowed = benchmark.replace(median_s=benchmark.median_s * (1 + step), samples_s=samples)
    return run.replace(benchmarks=(*run.benchmarks[:target], slowed, *run.benchmarks[target + 1 :]))


def detects_minimum(base: BenchmarkRun, head: BenchmarkRun, target: int) -> bool | None:
    """Whether a slowdown by the minimum detectable change is detected; None if there is no such change."""
    name = head.benchmarks[target].name
    checks = compare_runs(base, head, Rules()).checks
    change = next(check.minimum_detectable_change for check in checks if check.model == name)
    return None if change is None else name in analyze_check(base, with_slowdown(head, target, change))


def main() -> None:
    options = parse_options(__doc__, command=("collect", "report"), runs=80, folder=FOLDER)
    if options.command == "collect":
        collect(options.folder, options.runs)
    else:
        report(options.folder)


if __name__ == "__main__":
    main()
