"""Others on the same machine, as a shared CI runner has them: `with neighbours(4):` runs what is inside beside four.

Each is a process on one thread with bursts of 0.2 to 4 s of convolutions or of plain Python, and pauses up to 0.5 s.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

START_S = 3.0  # They import torch too.


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many, ended together with the block."""
    command = [sys.executable, "-m", "benchmarks.neighbours"]
    running = [subprocess.Popen([*command, str(seed)], stdin=subprocess.DEVNULL) for seed in range(count)]
    try:
        time.sleep(START_S if count else 0)
        if any(one.poll() is not None for one in running):
            raise RuntimeError("a neighbour ended: the machine would not be under the load that is said")
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def main(seed: int) -> None:
    """One neighbour, until it is killed."""
    import torch

    torch.set_num_threads(1)
    draw = random.Random(seed)
    image, weight = torch.randn(1, 64, 56, 56), torch.randn(64, 64, 3, 3)
    while True:
        end = time.monotonic() + draw.uniform(0.2, 4)
        computes = draw.random() < 0.6
        while time.monotonic() < end:
            if computes:
                torch.nn.functional.conv2d(image, weight)
            else:
                sum(range(1000))
        time.sleep(draw.uniform(0, 0.5))


if __name__ == "__main__":
    main(int(sys.argv[1]))
