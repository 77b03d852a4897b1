"""One network, counted by everyone, in one warm process: ours, fvcore, torch's FlopCounterMode, peers where installed.

Every benchmark builds the network and counts it, so that nobody profits from a module that somebody else built.
`extra_info` carries the MACs (or what the peer calls so), so that a fast wrong answer shows, and the fingerprint.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from analyzer import build, count
from analyzer.counting.execution.built import dispatched
from analyzer.models.builder import construct
from analyzer.networks import find
from analyzer.networks.walk import walk
from analyzer.timing.machine.fingerprint import fingerprint

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SHAPE = (1, 3, 224, 224)


def fresh(device: str) -> nn.Module:
    """The network on the given device, as every counter gets it."""
    network = find("googlenet")
    return construct(network, walk(network), train=False) if device == "meta" else build("googlenet")


def closed_form() -> int:
    return count("googlenet").totals.macs


def dispatch_meta() -> int:
    network = find("googlenet")
    return dispatched(network, walk(network), train=False).totals.macs


def dispatch_cpu() -> int:
    network = find("googlenet")
    return dispatched(network, walk(network), train=False, device="cpu").totals.macs


def flop_counter_mode(device: str) -> Callable[[], int]:
    def run() -> int:
        model, source = fresh(device), torch.zeros(SHAPE, device=device)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(source)
        return int(counter.get_total_flops()) // 2  # It counts a multiply-add as 2.

    return run


def fvcore() -> int:
    analysis = FlopCountAnalysis(fresh("cpu"), torch.zeros(SHAPE)).unsupported_ops_warnings(False)
    return int(analysis.total())


def ptflops() -> int:
    from ptflops import get_model_complexity_info

    macs, _ = get_model_complexity_info(fresh("cpu"), SHAPE[1:], as_strings=False, print_per_layer_stat=False)
    return int(macs)


def thop() -> int:
    from thop import profile

    macs, _ = profile(fresh("cpu"), inputs=(torch.zeros(SHAPE),), verbose=False)
    return int(macs)


def torchinfo() -> int:
    from torchinfo import summary

    return int(summary(fresh("cpu"), input_data=torch.zeros(SHAPE), verbose=0).total_mult_adds)


def calflops() -> int:
    from calflops import calculate_flops

    _, macs, _ = calculate_flops(fresh("cpu"), input_shape=SHAPE, print_results=False, output_as_string=False)
    return int(macs)


COUNTERS: dict[str, Callable[[], int]] = {
    "ours: closed form": closed_form,
    "ours: dispatch on meta": dispatch_meta,
    "ours: dispatch on CPU": dispatch_cpu,
    "torch FlopCounterMode on meta": flop_counter_mode("meta"),
    "torch FlopCounterMode on CPU": flop_counter_mode("cpu"),
    "fvcore": fvcore,
    "ptflops": ptflops,
    "thop": thop,
    "torchinfo": torchinfo,
    "calflops": calflops,
}
PEERS = ("ptflops", "thop", "torchinfo", "calflops")


@pytest.mark.parametrize("name", COUNTERS)
@pytest.mark.filterwarnings("default")
def test_googlenet(benchmark: BenchmarkFixture, name: str) -> None:
    if name in PEERS:
        pytest.importorskip(name, reason=f"{name} is not installed; it comes with the extra `peers`")
    counter = COUNTERS[name]
    with contextlib.redirect_stdout(io.StringIO()):
        benchmark.extra_info |= {"macs": counter(), "environment": fingerprint()}
        benchmark.pedantic(counter, rounds=15, warmup_rounds=2)  # type: ignore[no-untyped-call]
