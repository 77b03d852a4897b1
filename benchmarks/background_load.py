"""Load from other processes, as on a shared CI runner: `with other_processes(4):` runs four during its block.

Each is a process with one thread: bursts of 0.2 to 4 s of convolutions or plain Python, and pauses of up to 0.5 s.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

START_S = 3.0  # Each imports torch.


@contextmanager
def other_processes(count: int) -> Iterator[None]:
    """Raises RuntimeError if one ends early."""
    command = [sys.executable, "-m", "benchmarks.background_load"]
    processes = [subprocess.Popen([*command, str(seed)], stdin=subprocess.DEVNULL) for seed in range(count)]
    try:
        time.sleep(START_S if count else 0)
        if any(process.poll() is not None for process in processes):
            raise RuntimeError("a process of the load ended, so there would be less load than asked for")
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main(seed: int) -> None:
    """One process of the load, until it is killed."""
    import torch

    torch.set_num_threads(1)
    generator = random.Random(seed)
    image, weight = torch.randn(1, 64, 56, 56), torch.randn(64, 64, 3, 3)
    while True:
        end = time.monotonic() + generator.uniform(0.2, 4)
        convolves = generator.random() < 0.6
        while time.monotonic() < end:
            if convolves:
                torch.nn.functional.conv2d(image, weight)
            else:
                sum(range(1000))
        time.sleep(generator.uniform(0, 0.5))


if __name__ == "__main__":
    main(int(sys.argv[1]))
