"""What both workers of a pair share: their processor, their memory layout, and retained memory."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from analyzer.regression.paired.child import isolation


def run_script(script: str) -> object:
    """The output of a new process, since these settings cannot be undone."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to a processor")
@pytest.mark.slow
def test_a_seed_determines_the_processor():
    script = (
        "import json, os; from analyzer.regression.paired.child.isolation import bind_to_processor\n"
        "usable = os.sched_getaffinity(0)\n"
        "bound = []\n"
        "for seed in [*range(40), *range(40)]:\n"
        "    os.sched_setaffinity(0, usable); bind_to_processor(seed); bound.append(sorted(os.sched_getaffinity(0)))\n"
        "print(json.dumps([sorted(usable), bound]))"
    )
    usable, bound = run_script(script)  # type: ignore[misc]
    assert bound[:40] == bound[40:]
    assert len({tuple(processors) for processors in bound}) >= min(len(usable), 2)
    assert all(len(processors) == 1 and processors[0] in usable for processors in bound)


FAULTS = """
import json, resource, threading, torch
from analyzer.regression.paired.child.isolation import random_padding, retain_freed_memory
{first}
counted = []
def passes(seed):
    padding = random_padding(seed)
    def once():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        several = [torch.zeros(1 << 18) for _ in range(8)]
        del several
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    counted.append(max([once() for _ in range(20)][10:]))
for seed in range(8):  # In threads, as in a worker: each has its own heap arena, here with another layout.
    thread = threading.Thread(target=passes, args=(seed,)); thread.start(); thread.join()
print(json.dumps(counted))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
@pytest.mark.slow
def test_freed_memory_stays_in_the_process():
    # Eight tensors of 1 MiB are 2048 pages of 4 KiB. Freed together they exceed the default trim threshold; whether
    # the end of the heap is free then depends on its layout.
    default, retained = (run_script(FAULTS.format(first=first)) for first in ("", "retain_freed_memory()"))
    assert max(default) > 1000  # type: ignore[call-overload]
    assert max(retained) < 100  # type: ignore[call-overload]


def test_a_seed_determines_the_padding():
    sizes = [[block.numel() for block in isolation.random_padding(seed)] for seed in (1, 1, 2)]
    assert sizes[0] == sizes[1] != sizes[2]
    assert all(64 <= size < 1 << 18 for size in sizes[0])
