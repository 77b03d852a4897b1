"""GoogLeNet through the whole of `analyze check --base`, commits, worktrees and all: how often is it wrong?

    python -m benchmarks.googlenet_gate [--trials 20] [--keep FILE]

Each trial is the command itself in a small repository of two commits, on one thread, with its default minute. In one
arm both are the same code, in the other head does real matrix products more, of about `--slower` of a pass's time. Arms
take turns. With --keep a line a trial is added to a file, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
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

from benchmarks.contention import interval

NET = '''"""GoogLeNet, and so many matrix products more."""

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
ARMS = ("same", "slower")


def extra(slower: float) -> int:
    """How many products take that share of a pass's CPU time: with and without a hundred of them, in turn."""
    import torch

    names: dict[str, Any] = {}
    exec(compile(NET.format(extra=0), "net.py", "exec"), names)
    torch.set_num_threads(1)
    net, (x,) = names["Net"]().eval(), names["Net_inputs"]()
    times: dict[int, list[float]] = {0: [], 100: []}
    with torch.inference_mode():
        for _ in range(40):
            for count, own in times.items():
                names["EXTRA"] = count
                start = time.process_time()
                net(x)
                own.append(time.process_time() - start)
    one = (median(times[100]) / median(times[0]) - 1) / 100
    return max(round(slower / one), 1)


def git(folder: Path, *arguments: str) -> str:
    named = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path, more: int) -> str:
    """A branch an arm: plain GoogLeNet, and on the slower one a commit with `more` products. Returns the base."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=same")
    (folder / "pyproject.toml").write_text('[tool.analyzer.check]\nmodels = ["net.py:Net"]\n', encoding="utf-8")
    (folder / "net.py").write_text(NET.format(extra=0), encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "base")
    base = git(folder, "rev-parse", "HEAD")
    git(folder, "branch", "slower")
    git(folder, "checkout", "--quiet", "slower")
    (folder / "net.py").write_text(NET.format(extra=more), encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "-m", "head")
    return base


def trial(folder: Path, base: str, arm: str) -> dict[str, Any]:
    git(folder, "checkout", "--quiet", arm)
    start = time.monotonic()
    command = [sys.executable, "-m", "analyzer", "check", "--base", base, "--format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        (found,) = json.loads(done.stdout)["times"]
    except (ValueError, KeyError):
        raise SystemExit(done.stderr.strip() or "analyze check said nothing") from None
    return {
        "arm": arm,
        "outcome": found["outcome"],
        "status": done.returncode,
        "pairs": len(found["pairs"]["log_ratios"]),
        "again": len((found["confirmation"] or {"log_ratios": []})["log_ratios"]),
        "median": round(median(found["pairs"]["log_ratios"]), 5),
        "seconds": round(time.monotonic() - start, 1),
    }


def summary(lines: list[dict[str, Any]]) -> list[str]:
    """An arm a line: its outcomes, with the exact 95 % interval of "regressed", and what its pairs measured."""
    said = []
    for arm in ARMS:
        own = [line for line in lines if line["arm"] == arm]
        if not own:
            continue
        hits = sum(line["outcome"] == "regressed" for line in own)
        low, high = interval(hits, len(own))
        words = ", ".join(f"{count} {word}" for word, count in Counter(line["outcome"] for line in own).most_common())
        seen = math.expm1(median(line["median"] for line in own))
        said.append(
            f"{arm}: {words} of {len(own)}; regressed {100 * hits / len(own):.0f} % ({100 * low:.1f} to "
            f"{100 * high:.1f}); change seen {100 * seen:+.2f} %, {median(line['pairs'] for line in own):.0f} pairs, "
            f"{median(line['seconds'] for line in own):.0f} s a trial"
        )
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="an arm")
    parser.add_argument("--slower", type=float, default=0.05)
    parser.add_argument("--keep", type=Path, help="a line a trial; trials that are there are not made again")
    asked = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if asked.keep and asked.keep.exists():
        lines = [json.loads(line) for line in asked.keep.read_text(encoding="utf-8").splitlines()]
    more = lines[0]["extra"] if lines else extra(asked.slower)
    print(f"head of the slower arm makes {more} products of 256 x 256 matrices more", flush=True)
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as place:
        base = repository(Path(place, "project"), more)
        for number in range(asked.trials):
            for arm in ARMS:
                if sum(line["arm"] == arm for line in lines) > number:
                    continue
                line = {**trial(Path(place, "project"), base, arm), "extra": more}
                lines.append(line)
                print(json.dumps(line), flush=True)
                if asked.keep:
                    with asked.keep.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
    print("\n".join(summary(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
