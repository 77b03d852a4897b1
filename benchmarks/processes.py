"""Wall time of whole commands, as a user waits for them. `python -m benchmarks.processes [ROUNDS]`.

The two commands of a pair are interleaved in one run, so that a slow machine slows both; the ratio is the median of the
rounds' ratios, with their quartiles.
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
COMMANDS = {
    "analyze --variant googlenet": [ANALYZE, "--variant", "googlenet"],
    "analyze --variant googlenet --verify": [ANALYZE, "--variant", "googlenet", "--verify"],
    "the same count by fvcore": [PYTHON, "-c", FVCORE],
    "import click, rich.table, rich.console": [PYTHON, "-c", "import click, rich.table, rich.console"],
    "import torch": [PYTHON, "-c", "import torch"],
}
# (command, compared with, goal of the ratio)
PAIRS = (
    ("analyze --variant googlenet", "import click, rich.table, rich.console", "at most 1.5"),
    ("the same count by fvcore", "analyze --variant googlenet", "at least 12"),
    ("analyze --variant googlenet --verify", "import torch", "at most 1.5"),
)


def seconds(command: list[str]) -> float:
    """Wall time of one process. Raises CalledProcessError if it fails: a failure is not a time."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(first: list[str], second: list[str], rounds: int) -> list[tuple[float, float]]:
    """Interleaved times of both, after one round that fills the caches and is dropped."""
    return [(seconds(first), seconds(second)) for _ in range(rounds + 1)][1:]


def main(rounds: int = 15) -> None:
    table = Table("command", "median", "compared with", "median ", "ratio", "quartiles", "goal", box=None)
    for name, baseline, goal in PAIRS:
        times = compare(COMMANDS[name], COMMANDS[baseline], rounds)
        medians = [f"{statistics.median(column) * 1e3:.0f} ms" for column in zip(*times, strict=True)]
        low, middle, high = statistics.quantiles([first / second for first, second in times], n=4)
        table.add_row(name, medians[0], baseline, medians[1], f"{middle:.2f}", f"{low:.2f} - {high:.2f}", goal)
    Console(width=150).print(table)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
