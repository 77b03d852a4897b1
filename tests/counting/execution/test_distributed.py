"""Models split over devices: counted as this device's share of the work, and left able to train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from analyzer.counting.execution.count_any_model import count_model

pytest.importorskip("torch.testing._internal.distributed.fake_pg")
pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed"),
    pytest.mark.filterwarnings("ignore:FSDP2-wrapped module .* returned a view"),
]

WHOLE = 8 * 64 * 256  # Each of the two layers over eight rows.


@pytest.fixture
def devices() -> Iterator[Any]:
    """A mesh of four devices, of which this process is the first and the others do not exist."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    yield init_device_mesh
    torch.distributed.destroy_process_group()


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(64, 256, bias=False), nn.Linear(256, 64, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(nn.functional.gelu(self.up(x)))


def tensor_parallel(mesh: Any) -> nn.Module:
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    return parallelize_module(FeedForward(), mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})


def sharded(model: nn.Module, mesh: Any) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    fully_shard(model.up, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def check(model: nn.Module, macs: int) -> None:
    """Twice, since torch caches how it splits an operator. The input gets no gradient: backward is 1 + 2 layers."""
    source = torch.zeros(8, 64)
    before = [(name, type(parameter), parameter.shape) for name, parameter in model.named_parameters()]
    for _ in range(2):
        for train in (None, True):
            count = count_model(model, (source,), train=train).count
            assert count.totals.macs == 2 * macs
            assert count.totals.backward_macs == (3 * macs if train else None)
            assert count.totals.params == 2 * 64 * 256, "of all devices"
            assert count.unknown_ops == {}
    assert [(name, type(parameter), parameter.shape) for name, parameter in model.named_parameters()] == before
    assert all(parameter.grad is None for parameter in model.parameters())
    model(source).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_tensor_parallel_layers_count_a_quarter(devices):
    check(tensor_parallel(devices("cpu", (4,))), WHOLE // 4)


def test_fully_sharded_layers_run_whole(devices):
    check(sharded(FeedForward(), devices("cpu", (4,))), WHOLE)


def test_tensor_parallel_and_fully_sharded(devices):
    mesh = devices("cpu", (1, 4), mesh_dim_names=("data", "tensor"))
    check(sharded(tensor_parallel(mesh["tensor"]), mesh["data"]), WHOLE // 4)


@pytest.mark.filterwarnings("ignore:FSDP")
def test_fsdp_of_one_device_has_gradients():
    """FSDP1 keeps its parameters as views of one flat parameter. The first of two layers has its weight's only."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = FullyShardedDataParallel(FeedForward(), device_id=torch.device("cpu"))
        totals = count_model(model, (torch.zeros(8, 64),), train=True).count.totals
    finally:
        torch.distributed.destroy_process_group()
    assert (totals.macs, totals.backward_macs) == (2 * WHOLE, 3 * WHOLE)
