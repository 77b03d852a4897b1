"""How often `analyze check --base` is wrong about GoogLeNet, end to end with commits and worktrees.

    python -m benchmarks.googlenet_gate [--trials 20] [--keep FILE]

Each trial runs the command in a small repository of two commits, on one thread, with the default budget. In one
case both commits have the same code, in the other head runs additional matrix products that take about `--slower` of
a pass's time. Cases are interleaved, --trials of each. With --keep, trials are appended to a file, and an
interrupted run resumes.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import append_line, interleave, load_lines, parse_options, rate

NET = '''"""GoogLeNet, and EXTRA matrix products."""

import torch
from torch import nn

from analyzer import build

EXTRA = {extra}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = build("googlenet")
        self.factor = nn.Parameter(torch.randn(256, 256) / 16)

    def forward(self, x):
        product = self.factor
        for _ in range(EXTRA):
            product = product @ self.factor
        return self.network(x) + product[0, 0]


def Net_inputs():
    return torch.zeros(1, 3, 224, 224),
'''
CASES = ("same", "slower")


def calibrate(slower: float) -> int:
    """The number of products that take this share of a pass's CPU time, from interleaved passes with 0 and 100."""
    import torch

    names: dict[str, Any] = {}
    exec(compile(NET.format(extra=0), "net.py", "exec"), names)
    torch.set_num_threads(1)
    net, (x,) = names["Net"]().eval(), names["Net_inputs"]()

    @torch.inference_mode()
    def run(count: int) -> None:
        names["EXTRA"] = count
        net(x)

    times_s = interleave(
        {"none": lambda: run(0), "100": lambda: run(100)}, 40, warm_up=0, now=time.process_time
    ).median()
    return max(round(slower * 100 / float(times_s["100"] / times_s["none"] - 1)), 1)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    process = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return process.stdout.strip()


def create_repository(folder: Path, extra: int) -> str:
    """A branch per case; `slower` has a commit with `extra` products. Returns the base commit."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=same")
    (folder / "pyproject.toml").write_text('[tool.analyzer.check]\nmodels = ["net.py:Net"]\n', encoding="utf-8")
    (folder / "net.py").write_text(NET.format(extra=0), encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "base")
    base = git(folder, "rev-parse", "HEAD")
    git(folder, "branch", "slower")
    git(folder, "checkout", "--quiet", "slower")
    (folder / "net.py").write_text(NET.format(extra=extra), encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "-m", "head")
    return base


def run_trial(folder: Path, base: str, case: str) -> dict[str, Any]:
    git(folder, "checkout", "--quiet", case)
    start = time.monotonic()
    command = [sys.executable, "-m", "analyzer", "check", "--base", base, "--format", "json"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        (times,) = json.loads(process.stdout)["times"]
    except (ValueError, KeyError):
        raise SystemExit(process.stderr.strip() or "analyze check printed nothing") from None
    return {
        "arm": case,
        "outcome": times["outcome"],
        "status": process.returncode,
        "pairs": len(times["pairs"]["log_ratios"]),
        "again": len((times["confirmation"] or {"log_ratios": []})["log_ratios"]),
        "median": round(median(times["pairs"]["log_ratios"]), 5),
        "seconds": round(time.monotonic() - start, 1),
    }


def summary(trials: list[dict[str, Any]]) -> list[str]:
    """A line per case: its outcomes, the exact 95 % interval of "regressed", and the measured change."""
    lines = []
    for case in CASES:
        group = [trial for trial in trials if trial["arm"] == case]
        if not group:
            continue
        hits = sum(trial["outcome"] == "regressed" for trial in group)
        outcomes = Counter(trial["outcome"] for trial in group).most_common()
        change = math.expm1(median(trial["median"] for trial in group))
        lines.append(
            f"{case}: {', '.join(f'{count} {outcome}' for outcome, count in outcomes)}; regressed "
            f"{rate(hits, len(group))}; measured change {100 * change:+.2f} %, "
            f"{median(trial['pairs'] for trial in group):.0f} pairs, "
            f"{median(trial['seconds'] for trial in group):.0f} s per trial"
        )
    return lines


def main() -> None:
    options = parse_options(__doc__, trials=20, slower=0.05, keep=Path)
    trials = load_lines(options.keep)
    extra = trials[0]["extra"] if trials else calibrate(options.slower)
    print(f"the slower head runs {extra} additional products of 256 x 256 matrices", flush=True)
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        base = create_repository(folder, extra)
        for number in range(options.trials):
            for case in CASES:
                if sum(trial["arm"] == case for trial in trials) > number:
                    continue
                trial = {**run_trial(folder, base, case), "extra": extra}
                trials.append(trial)
                print(json.dumps(trial), flush=True)
                append_line(options.keep, trial)
    print("\n".join(summary(trials)))


if __name__ == "__main__":
    main()
