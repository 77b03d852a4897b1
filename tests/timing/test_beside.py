"""What is done beside a model's passes: the fixed piece of work, and how much a flush writes."""

from __future__ import annotations

import pytest
import torch

from analyzer.timing import beside
from analyzer.timings import Setting

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
    taken = beside.reference(Setting(), Accuses())
    assert len(taken) == beside.REFERENCES
    assert {one.arm for one in taken} == {"reference"}
    assert all(one.seconds > 0 for one in taken)
    assert {one.dirty for one in taken} == {None, "disturbed"}


def test_there_is_none_on_a_device():
    assert beside.reference(Setting(device="cuda:0"), Accuses()) == []


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
