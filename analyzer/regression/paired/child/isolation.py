"""What the two workers of a pair have alike, so that they differ by their code alone.

Part of the script in fork_server.py.

Each of these was worth more, on machines that did nothing else, than the changes that are looked for.
"""

from __future__ import annotations

import ctypes
import os
import random
from contextlib import suppress
from typing import Any

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # Of glibc's malloc.h.
KEPT = {M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 1 << 30, M_TOP_PAD: 64 << 20}  # The first at its most.


def keep_memory() -> None:
    """What a pass gives back stays with the process, where the C library is glibc.

    Else it depends on where the last block happens to lie whether the end of the heap goes back to the system after
    each pass and comes anew, page by page, in the next: up to a third of one process's time, and nothing of another's.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for what, size in KEPT.items():
            mallopt(what, size)


def stay(seed: int) -> None:
    """On one processor, drawn by the pair's seed.

    A worker keeps to the processor where it ran last, and its partner to another, and of two that are called alike one
    is slower: by what runs beside it, or by where a host put it. Where a system cannot bind, they go where they will.
    """
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, {random.Random(seed).choice(sorted(os.sched_getaffinity(0)))})


def padding(seed: int) -> list[Any]:
    """Blocks of chance sizes, every other one given back: else all workers of a parent would lie in memory alike, and
    what one state of the code gains by that would be taken for speed. The two of a pair get the same."""
    import torch

    draw = random.Random(seed)
    sizes = [draw.randrange(64, 1 << draw.randrange(7, 19)) for _ in range(draw.randrange(32, 96))]
    return [torch.empty(size, dtype=torch.uint8) for size in sizes][::2]
