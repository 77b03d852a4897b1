"""Wall time of whole commands, including process start: `python -m benchmarks.command_times [--rounds 15]`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.common import interleave, parse_options, process, ratio_text

ANALYZE = shutil.which("analyze", path=str(Path(sys.executable).parent)) or "analyze"
FVCORE = """
import torch
from fvcore.nn import FlopCountAnalysis
from analyzer import build
FlopCountAnalysis(build("googlenet"), torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(False).total()
"""
COMMANDS = {
    "analyze --variant googlenet": (ANALYZE, "--variant", "googlenet"),
    "analyze --variant googlenet --verify": (ANALYZE, "--variant", "googlenet", "--verify"),
    "the same count by fvcore": (sys.executable, "-c", FVCORE),
    "import click, rich.table, rich.console": (sys.executable, "-c", "import click, rich.table, rich.console"),
    "import torch": (sys.executable, "-c", "import torch"),
}
# (command, compared with, goal of the ratio)
PAIRS = (
    ("analyze --variant googlenet", "import click, rich.table, rich.console", "at most 1.5"),
    ("the same count by fvcore", "analyze --variant googlenet", "at least 12"),
    ("analyze --variant googlenet --verify", "import torch", "at most 1.5"),
)


def main() -> None:
    times_s = interleave(
        {name: process(*command) for name, command in COMMANDS.items()}, parse_options(__doc__, rounds=15).rounds
    )
    for name, base, goal in PAIRS:
        print(f"{name:36} {ratio_text(times_s, name, base)}; goal: {goal}")


if __name__ == "__main__":
    main()
