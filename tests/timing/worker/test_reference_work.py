"""What is done beside a model's passes: the fixed piece of work, and how much a flush writes."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from analyzer.records.timings import Configuration
from analyzer.timing.worker import reference_work as beside

MIB = 2**20


class Accuses:
    """A watch that accuses every other sample."""

    looks = 0

    def look(self):
        self.looks += 1
        return self.looks

    def dirty(self, before, after):
        return "disturbed" if before % 4 == 0 else None


def test_the_fixed_work_is_watched_as_a_pass_is():
    taken = beside.reference(Configuration(), Accuses())
    assert len(taken) == beside.REFERENCES
    assert {one.arm for one in taken} == {"reference"}
    assert all(one.seconds > 0 for one in taken)
    assert {one.dirty for one in taken} == {None, "disturbed"}


MAPPED = """
import ctypes, sys, torch
from analyzer.timing.beside import reference
from analyzer.timing.contention import Contention
from analyzer.timings import Configuration

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
if mallinfo2 is None:
    sys.exit("no mallinfo2")
mallinfo2.restype = Info
reference(Configuration(), Contention(1))
before = mallinfo2().hblks
field = torch.empty(3 * 2**20)
print(mallinfo2().hblks - before)
"""


def test_the_fixed_work_leaves_the_allocator_as_a_program_of_its_own_has_it():
    """12 MB are a mapping of their own, given back when they are freed, unless as much was freed before: glibc then
    keeps both in its heap. Work that frees its 16 MB would make the model's passes faster than they are elsewhere."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the rule is glibc's")
    ran = subprocess.run([sys.executable, "-c", MAPPED], capture_output=True, text=True, check=False)
    if "no mallinfo2" in ran.stderr:
        pytest.skip("glibc before 2.33 does not say what is mapped")
    assert (ran.returncode, ran.stdout) == (0, "1\n"), ran.stderr


def test_there_is_none_on_a_device():
    assert beside.reference(Configuration(device="cuda:0"), Accuses()) == []


@pytest.mark.parametrize(("sizes", "written"), [((), 128), ((1, 32), 128), ((1, 2, 768), 1536)])
def test_a_flush_writes_more_than_the_largest_cache_holds(monkeypatch, sizes, written):
    monkeypatch.setattr(beside, "caches", lambda: [{"level": 1, "bytes": size * MIB} for size in sizes])
    assert beside.flushing_bytes("cpu") == written * MIB


def test_on_a_device_it_asks_the_device(monkeypatch):
    told = type("Properties", (), {"L2_cache_size": 50 * MIB})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: told)
    assert beside.flushing_bytes("cuda:0") == 100 * MIB
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: object())
    assert beside.flushing_bytes("cuda:0") == 128 * MIB


def test_a_flushed_arm_flushes_first():
    said = []
    arm = beside.flushed(lambda: said.append("flush"), lambda: said.append("pass") or 1.5)
    assert arm() == 1.5
    assert said == ["flush", "pass"]
    flush = beside.flusher("cpu")
    flush()
