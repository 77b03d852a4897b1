"""The reference workload is watched and leaves the allocator alone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from analyzer.records.timings import Configuration
from analyzer.timing.worker import reference_workload
from analyzer.timing.worker.reference_workload import sample_reference_workload
from tests.timing.simulated import FakeWatch


def test_the_reference_workload_is_watched():
    samples = sample_reference_workload(Configuration(), FakeWatch(None, "busy"))
    assert len(samples) == reference_workload.SAMPLES
    assert {sample.measurement for sample in samples} == {"reference_workload"}
    assert all(sample.seconds > 0 for sample in samples)
    assert [sample.disturbance for sample in samples] == [None, "busy", *[None] * 8]


def test_there_is_no_reference_workload_for_a_gpu():
    assert sample_reference_workload(Configuration(device="cuda:0"), FakeWatch()) == []


MAPPED_BLOCKS = """
import ctypes, sys, torch
from analyzer.records.timings import Configuration
from analyzer.timing.machine.contention import Contention
from analyzer.timing.worker.reference_workload import sample_reference_workload

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
if mallinfo2 is None:
    sys.exit("no mallinfo2")
mallinfo2.restype = Info
sample_reference_workload(Configuration(), Contention(1))
before = mallinfo2().hblks
field = torch.empty(3 * 2**20)
print(mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the rule is glibc's")
def test_the_reference_workload_leaves_the_allocator_as_it_was():
    """glibc maps a block of 12 MB by itself and unmaps it when freed, unless a block as large was freed before: it then
    keeps both in its heap. A workload that frees its 16 MB would make the model's passes faster than elsewhere."""
    script = subprocess.run([sys.executable, "-c", MAPPED_BLOCKS], capture_output=True, text=True, check=False)
    if "no mallinfo2" in script.stderr:
        pytest.skip("glibc before 2.33 does not count mapped blocks")
    assert (script.returncode, script.stdout) == (0, "1\n"), script.stderr
