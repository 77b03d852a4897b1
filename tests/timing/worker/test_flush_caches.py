"""A flush writes more than the caches hold."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from analyzer.timing.worker import flush_caches
from analyzer.timing.worker.flush_caches import cache_flush, flush_bytes, flushed

MIB = 2**20


@pytest.mark.parametrize(("sizes", "written"), [((), 128), ((1, 32), 128), ((1, 2, 768), 1536)])
def test_a_flush_writes_more_than_the_largest_cache_holds(monkeypatch, sizes, written):
    levels = [{"level": 1, "bytes": size * MIB} for size in sizes]
    monkeypatch.setattr(flush_caches, "caches", lambda: levels)
    assert flush_bytes("cpu") == written * MIB


@pytest.mark.parametrize(("known", "written"), [({"L2_cache_size": 50 * MIB}, 100), ({}, 128)])
def test_a_flush_of_a_gpu_writes_twice_its_l2_cache(monkeypatch, known, written):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(**known))
    assert flush_bytes("cuda:0") == written * MIB


def test_a_flushed_measurement_flushes_first():
    calls = []
    measurement = flushed(lambda: calls.append("flush"), lambda: calls.append("pass") or 1.5)
    assert measurement() == 1.5
    assert calls == ["flush", "pass"]
    cache_flush("cpu")()
