"""GoogLeNet counted in one warm process by ours, fvcore, torch's FlopCounterMode, and other counters if installed.

Every benchmark builds the network and counts it, so that none profits from a module built by another. `extra_info` has
the MACs, so that a fast wrong answer shows, and the machine's fingerprint.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest
import torch
from torch import nn

from analyzer import build, count
from analyzer.counting.execution.built import BuiltNetwork
from analyzer.models.builder import construct
from analyzer.networks import find
from analyzer.networks.walk import walk
from analyzer.timing.machine.fingerprint import fingerprint
from benchmarks.peers import PEERS, installed

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SHAPE = (1, 3, 224, 224)


def fresh(device: str) -> nn.Module:
    network = find("googlenet")
    return construct(network, walk(network), train=False) if device == "meta" else build("googlenet")


def dispatch(device: Literal["meta", "cpu"]) -> int:
    network = find("googlenet")
    return BuiltNetwork(network, walk(network), train=False).count(device).totals.macs


def peer(name: str, device: str = "cpu") -> int:
    return PEERS[name](fresh(device), torch.zeros(SHAPE, device=device))


COUNTERS: dict[str, Callable[[], int]] = {
    "ours: closed form": lambda: count("googlenet").totals.macs,
    "ours: dispatch on meta": partial(dispatch, "meta"),
    "ours: dispatch on CPU": partial(dispatch, "cpu"),
    "torch FlopCounterMode on meta": partial(peer, "FlopCounterMode", "meta"),
    "torch FlopCounterMode on CPU": partial(peer, "FlopCounterMode"),
    **{name: partial(peer, name) for name in PEERS if name != "FlopCounterMode"},
}


@pytest.mark.parametrize("name", COUNTERS)
@pytest.mark.filterwarnings("default")
def test_googlenet(benchmark: BenchmarkFixture, name: str) -> None:
    if name in PEERS and not installed(name):
        pytest.skip(f"{name} is not installed; it comes with the extra `peers`")
    counter = COUNTERS[name]
    with contextlib.redirect_stdout(io.StringIO()):
        benchmark.extra_info |= {"macs": counter(), "environment": fingerprint()}
        benchmark.pedantic(counter, rounds=15, warmup_rounds=2)  # type: ignore[no-untyped-call]
