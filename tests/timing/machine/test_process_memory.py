"""Memory of the process: its size follows what it allocates, and its peak can be reset."""

from __future__ import annotations

import mmap
import sys

import pytest

from analyzer.timing.machine.process_memory import ProcessMemory

SIZE = 2**26


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_size_and_peak_of_a_process():
    memory = ProcessMemory()
    memory.reset_peak()
    before = memory.bytes()
    block = mmap.mmap(-1, SIZE)  # New pages, unlike memory of the heap, which earlier tests may have left resident.
    block.write(b"x" * SIZE)
    assert memory.bytes() >= before + SIZE * 0.9
    block.close()
    assert memory.peak_bytes() >= before + SIZE * 0.9
