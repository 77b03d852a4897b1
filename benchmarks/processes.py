"""Whole processes side by side: what a person waits for. `python -m benchmarks.processes [ROUNDS]`.

Commands take turns in one run, so that a slow minute of the machine slows them all; a ratio is the median of the
rounds' own ratios, with their quartiles.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

PYTHON = sys.executable
ANALYZE = shutil.which("analyze", path=str(Path(PYTHON).parent)) or "analyze"

FVCORE = """
import torch
from fvcore.nn import FlopCountAnalysis
from analyzer import build
FlopCountAnalysis(build("googlenet"), torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(False).total()
"""

# (what is measured, its command, what it is held against, that command, the goal)
PAIRS: list[tuple[str, list[str], str, list[str], str]] = [
    (
        "analyze --variant googlenet",
        [ANALYZE, "--variant", "googlenet"],
        "import click, rich.table, rich.console",
        [PYTHON, "-c", "import click, rich.table, rich.console"],
        "at most 1.5",
    ),
    (
        "the same count by fvcore",
        [PYTHON, "-c", FVCORE],
        "analyze --variant googlenet",
        [ANALYZE, "--variant", "googlenet"],
        "at least 12",
    ),
    (
        "analyze --variant googlenet --verify",
        [ANALYZE, "--variant", "googlenet", "--verify"],
        "import torch",
        [PYTHON, "-c", "import torch"],
        "at most 1.5",
    ),
]


def seconds(command: list[str]) -> float:
    """Wall time of one whole process. Raises CalledProcessError if it fails: a failure is not a time."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(first: list[str], second: list[str], rounds: int) -> tuple[list[float], list[float]]:
    """`rounds` times of each, taking turns, after one round that fills the caches and is thrown away."""
    times = [(seconds(first), seconds(second)) for _ in range(rounds + 1)][1:]
    return [a for a, _ in times], [b for _, b in times]


def main(rounds: int = 15) -> None:
    table = Table("measured", "median", "against", "median ", "ratio", "quartiles", "goal", box=None)
    for name, command, other, other_command, goal in PAIRS:
        ours, theirs = compare(command, other_command, rounds)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        table.add_row(
            name,
            f"{statistics.median(ours) * 1e3:.0f} ms",
            other,
            f"{statistics.median(theirs) * 1e3:.0f} ms",
            f"{middle:.2f}",
            f"{low:.2f} - {high:.2f}",
            goal,
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
