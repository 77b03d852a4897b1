"""Shared code of benchmarks: options, stored trials, interleaved times, exact intervals, and common tests to compare
with."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas


def parse_options(description: str | None, **options: Any) -> argparse.Namespace:
    """A value is an option's default and gives its type; a type is an option without default.

    A tuple is a required positional argument with these choices, `...` one without choices, a list any number of
    positional arguments.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, tuple):
            parser.add_argument(name, choices=value)
        elif value is ...:
            parser.add_argument(name)
        elif isinstance(value, list):
            parser.add_argument(name, nargs="*", default=value)
        elif isinstance(value, type):
            parser.add_argument(flag, type=value)
        else:
            parser.add_argument(flag, type=type(value), default=value, help="default: %(default)s")
    return parser.parse_args()


def load_lines(file: Path | None) -> list[dict[str, Any]]:
    """The trials that earlier runs kept; none without a file."""
    return list(map(json.loads, file.read_text(encoding="utf-8").splitlines())) if file and file.exists() else []


def append_line(file: Path | None, trial: Mapping[str, Any]) -> None:
    """Keeps a trial, so that an interrupted run can continue."""
    if file:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(trial) + "\n")


def interleave(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    now: Callable[[], float] = time.perf_counter,
) -> pandas.DataFrame:
    """Seconds: a column per call, a row per round. A round makes every call, so a slow moment slows all of them.

    The first `warm_up` rounds are dropped.
    """

    def seconds(call: Callable[[], object]) -> float:
        start = now()
        call()
        return now() - start

    rows = [{name: seconds(call) for name, call in calls.items()} for _ in range(warm_up + rounds)]
    return pandas.DataFrame(rows[warm_up:])


def seconds_of(text: str) -> float:
    """A time of a result's row, such as its start, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def process(*command: str) -> Callable[[], object]:
    """Runs a whole process. Raises CalledProcessError if it fails: a failure is not a time."""
    return partial(subprocess.run, command, check=True, capture_output=True)


def ratio_text(times_s: pandas.DataFrame, name: str, base: str) -> str:
    """`1200 ms, 1.31 × import torch (1.28 to 1.34)`: medians of times and of each round's ratio, with its quartiles."""
    low, middle, high = (times_s[name] / times_s[base]).quantile([0.25, 0.5, 0.75])
    return f"{1e3 * times_s[name].median():8.1f} ms, {middle:.2f} × {base} ({low:.2f} to {high:.2f})"


def binomial_interval(hits: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    low, high = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    return float(low), float(high)


def rate(hits: int, trials: int) -> str:
    """`2 of 400, 0.5 % (0.1 to 1.8)`, with the exact 95 % interval."""
    if not trials:
        return "0 of 0"
    low, high = binomial_interval(hits, trials)
    return f"{hits} of {trials}, {100 * hits / trials:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def mann_whitney(base: Sequence[float], head: Sequence[float]) -> bool:
    from scipy.stats import mannwhitneyu

    return bool(mannwhitneyu(head, base, alternative="greater").pvalue < 0.01)


# Whether head is slower than base by the tests that are usual for samples of two runs.
USUAL_TESTS: dict[str, Callable[[Sequence[float], Sequence[float]], bool]] = {
    "mean + 5 %": lambda base, head: fmean(head) > 1.05 * fmean(base),
    "minimum + 5 %": lambda base, head: min(head) > 1.05 * min(base),
    "Mann-Whitney p < 0.01": mann_whitney,
}
