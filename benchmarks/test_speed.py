"""Speed of counting, of forward passes, of results and of a snapshot, by pytest-benchmark.

`extra_info` has the fingerprint of the machine and, where a network is counted, its MACs, so that a fast wrong answer
shows. Benchmarks of counters build the network and count it, so that none profits from a module built by another.
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

from analyzer import build, compare, count
from analyzer.counting.execution.built_in_network import BuiltNetwork
from analyzer.models.spec_to_module import construct
from analyzer.networks import VARIANTS, find
from analyzer.networks.walk import walk
from analyzer.records.comparison import compare_records
from analyzer.records.record_json import dump, load
from analyzer.timing.clock.clocks import available_devices, clock_of
from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.fingerprint import fingerprint
from benchmarks.other_counters import PEERS, installed
from reports.counting.comparison import tables
from reports.counting.count_tables import network
from reports.formats.text import markdown
from reports.page.build import page
from reports.page.write import html

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SHAPE = (1, 3, 224, 224)


def dispatch(device: Literal["meta", "cpu"]) -> int:
    network = find("googlenet")
    return BuiltNetwork(network, walk(network), train=False).count(device).totals.macs


def peer(name: str, device: str = "cpu") -> int:
    network = find("googlenet")
    model: nn.Module = construct(network, walk(network), train=False) if device == "meta" else build("googlenet")
    return PEERS[name](model, torch.zeros(SHAPE, device=device))


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


def show(name: str) -> Callable[[], object]:
    """A function that shows a result that is already counted."""
    googlenet, naive = count("googlenet"), count("googlenet-naive")
    trained, alexnet = count("googlenet", train=True), count("alexnet")
    shown: dict[str, Callable[[], object]] = {
        "markdown": lambda: markdown([network(googlenet, 2)]),
        "comparison": lambda: tables(compare_records([googlenet, naive]), "macs", 1),
        "page": lambda: html(page([googlenet, naive, alexnet])),
        "json": lambda: load(dump([trained])),
        "compare from names": lambda: compare("googlenet", "alexnet").totals,
    }
    return shown[name]


@pytest.mark.parametrize("name", ["markdown", "comparison", "page", "json", "compare from names"])
def test_result(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark.extra_info |= {"macs": count("googlenet").totals.macs, "environment": fingerprint()}
    assert benchmark(show(name))


def test_snapshot(benchmark: BenchmarkFixture) -> None:
    """Taken before and after each sample: part of a run, but not of its samples."""
    watch = Contention(1)
    benchmark.extra_info |= {"environment": fingerprint(), "signals": watch.signals()}
    assert benchmark(watch.snapshot).at_s > 0
