"""A forward pass of every variant, on every available device. `extra_info` has the MACs, batch, device, fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from analyzer import build, count
from analyzer.networks import VARIANTS, find
from analyzer.timing.clock.clocks import available_devices, clock_of
from analyzer.timing.machine.fingerprint import fingerprint

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("device", available_devices())
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", VARIANTS)
def test_forward(benchmark: BenchmarkFixture, name: str, batch: int, device: str) -> None:
    model = build(name).to(device)
    inputs = torch.randn(batch, *find(name).input, device=device)
    clock = clock_of(device)

    def forward() -> None:
        model(inputs)
        clock.synchronize()

    with torch.inference_mode():
        benchmark.pedantic(forward, warmup_rounds=2, rounds=5)  # type: ignore[no-untyped-call]
    macs = count(name, batch=batch).totals.macs
    benchmark.extra_info |= {"macs": macs, "batch": batch, "device": device, "environment": fingerprint(device)}
