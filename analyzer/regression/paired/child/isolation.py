"""Makes the two workers of a pair equal in everything but their code. Part of the script in pair_server.py.

On an otherwise idle machine, each of these differences between processes exceeded the changes that a check looks for.
"""

from __future__ import annotations

import ctypes
import os
import random
from contextlib import suppress
from typing import Any

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # From glibc's malloc.h.
# M_MMAP_THRESHOLD is at the maximum that glibc accepts.
RETENTION = {M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 1 << 30, M_TOP_PAD: 64 << 20}


def retain_freed_memory() -> None:
    """Makes glibc keep freed memory in the process; no effect with another C library.

    By default the position of the last allocated block decides whether the end of the heap returns to the system after
    each pass and causes page faults in the next: up to a third of one process's time, and none of another's.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, size in RETENTION.items():
            mallopt(parameter, size)


def bind_to_processor(seed: int) -> None:
    """Binds the process to one processor, chosen by the pair's seed, where the system allows it.

    Without this each worker stays on the processor where it ran last, and the two processors may differ in speed: by
    what else runs on them, or by where a virtual machine's host placed them.
    """
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, {random.Random(seed).choice(sorted(os.sched_getaffinity(0)))})


def random_padding(seed: int) -> list[Any]:
    """Allocates blocks of random sizes and frees every other one; both workers of a pair use the same seed.

    Without it all workers of a server would have the same memory layout, and an advantage that one state of the code
    has in that layout would be taken for speed.
    """
    import torch

    rng = random.Random(seed)
    sizes = [rng.randrange(64, 1 << rng.randrange(7, 19)) for _ in range(rng.randrange(32, 96))]
    return [torch.empty(size, dtype=torch.uint8) for size in sizes][::2]
