"""Runs a sweep on a cluster while processes are killed at random, and goes on until it is complete."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.sweeps.cluster.fleets import Fleet, below, kill

MODEL = "import time, torch\ndef net():\n    time.sleep(0.1)\n    return torch.nn.Linear(2, 2)\n"
LIMIT_S = 600.0


def sweep_under_fire(folder: Path, configurations: int, kinds: list[str], seed: int, store: Path) -> list[str]:
    """Kills a process of each kind in turn: driver, scheduler, worker or child. Returns the drivers' messages.

    A new driver goes on with `--resume`, on a new cluster if the scheduler was killed.
    """
    order, messages, left, end = random.Random(seed), [], list(kinds), time.monotonic() + LIMIT_S
    (folder / "net.py").write_text(MODEL)
    grid = ["net.py:net", "--input", "2", "--batch", f"1..{configurations}", "--store", str(store)]
    fleet = start_fleet(folder)
    try:
        while True:
            assert time.monotonic() < end, messages
            driver = subprocess.Popen(
                [sys.executable, "-m", "macscope", "sweep", *grid, "--resume", "--cluster", fleet.address],
                cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            while left and driver.poll() is None:
                time.sleep(order.uniform(0.5, 2))
                if driver.poll() is None:
                    kill(victim(left.pop(0), driver, fleet, order))
            messages.append(driver.communicate(timeout=LIMIT_S)[1])
            if driver.returncode == 0:
                return messages
            if fleet.processes[0].poll() is not None:
                fleet.__exit__()
                fleet = start_fleet(folder)
    finally:
        fleet.__exit__()


def start_fleet(folder: Path) -> Fleet:
    fleet = Fleet(Path(tempfile.mkdtemp(dir=folder)))
    fleet.start_scheduler()
    for _ in range(2):
        fleet.start_worker()
    return fleet


def victim(kind: str, driver: subprocess.Popen[str], fleet: Fleet, order: random.Random) -> int:
    """A child is a process that runs cases, or one of those that it has started."""
    if kind == "driver":
        return driver.pid
    if kind == "scheduler":
        return fleet.processes[0].pid
    workers = fleet.workers()
    if kind == "worker":
        return order.choice(workers) if workers else driver.pid
    children = [pid for worker in workers for pid, command in below(worker) if "analyzer" in command]
    return order.choice(children) if children else driver.pid
