"""What both workers of a pair have alike: their processor, their layout, and memory that stays."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from analyzer.regression.paired.child import isolation


def asked(script: str) -> object:
    """What a process of its own prints: these terms cannot be taken back."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to a processor")
def test_a_seed_is_a_processor_and_seeds_take_several():
    script = (
        "import json, os; from analyzer.regression.paired.child.isolation import stay\n"
        "usable = os.sched_getaffinity(0)\n"
        "found = []\n"
        "for seed in [*range(40), *range(40)]:\n"
        "    os.sched_setaffinity(0, usable); stay(seed); found.append(sorted(os.sched_getaffinity(0)))\n"
        "print(json.dumps([sorted(usable), found]))"
    )
    usable, found = asked(script)  # type: ignore[misc]
    assert found[:40] == found[40:]
    assert len({tuple(one) for one in found}) >= min(len(usable), 2)
    assert all(len(one) == 1 and one[0] in usable for one in found)


FAULTS = """
import json, resource, threading, torch
from analyzer.regression.paired.child.isolation import keep_memory
{first}
counted = []
def passes():  # In a thread, as a worker's are: a thread's memory has an end of its own.
    def once():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        several = [torch.zeros(1 << 18) for _ in range(8)]
        del several
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    counted.extend(once() for _ in range(20))
thread = threading.Thread(target=passes); thread.start(); thread.join()
print(json.dumps(counted[10:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such settings")
def test_memory_that_a_pass_gave_back_is_not_fetched_anew():
    # Eight tensors of 1 MiB are 2048 pages of 4 KiB. Given back together they are more than the heap's end may hold.
    usual, kept = (asked(FAULTS.format(first=first)) for first in ("", "keep_memory()"))
    assert min(usual) > 1000  # type: ignore[call-overload]
    assert max(kept) < 100  # type: ignore[call-overload]


def test_padding_is_that_of_its_seed():
    sizes = [[one.numel() for one in isolation.padding(seed)] for seed in (1, 1, 2)]
    assert sizes[0] == sizes[1] != sizes[2]
    assert all(64 <= size < 1 << 18 for size in sizes[0])
