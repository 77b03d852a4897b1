"""Fourteen kinds of model that `analyze time` must time right. Each factory returns a model; `INPUTS` has its inputs.

analyze time benchmarks/timed_models.py:lstm --input 64x128
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# Kind → texts of --input, without the batch. `Path` is where `exported` writes its program.
INPUTS = {
    "transformer": ["64x128"],
    "lstm": ["64x128"],
    "small_mlp": ["16"],
    "depthwise": ["32x56x56"],
    "unet": ["3x96x96"],
    "elementwise": ["1024"],
    "branches": ["64x28x28"],
    "shared": ["256"],
    "matmul": ["256x256"],
    "embedding": ["128:int64"],
    "dict_output": ["256"],
    "trained_norm": ["3x64x64"],
    "scripted": ["3x64x64"],
    "exported": ["3x64x64"],
}
TRAINED = ("trained_norm",)


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)


class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(128, 128, 2, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.lstm(x)[0][:, -1])
        return output


def lstm() -> nn.Module:
    return _Lstm()


def small_mlp() -> nn.Module:
    """About 14 µs: what surrounds a pass must not count."""
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def depthwise() -> nn.Module:
    block = [nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.BatchNorm2d(32), nn.ReLU6(), nn.Conv2d(32, 32, 1)]
    return nn.Sequential(*block, *(type(layer)(32, 32, 3, padding=1, groups=32) for layer in block[:1]), nn.ReLU6())


class _UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.bottom = nn.Conv2d(32, 32, 3, padding=1)
        self.up2, self.up1 = nn.Conv2d(64, 16, 3, padding=1), nn.Conv2d(32, 3, 3, padding=1)
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x).relu()
        second = self.down2(self.pool(first)).relu()
        bottom = self.bottom(self.pool(second)).relu()
        middle = self.up2(torch.cat([self.up(bottom), second], 1)).relu()
        output: Tensor = self.up1(torch.cat([self.up(middle), first], 1))
        return output


def unet() -> nn.Module:
    return _UNet()


class _Elementwise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(100):
            x = torch.relu(x) + 1.0
        return x


def elementwise() -> nn.Module:
    """200 small operators."""
    return _Elementwise()


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(64, 64, 1), nn.Conv2d(64, 64, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.narrow(x), self.wide(x), x], 1) if x.shape[-1] > 8 else self.narrow(x)


def branches() -> nn.Module:
    return _Branches()


class _Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(256, 256)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(6):
            x = self.layer(x).tanh()
        return x


def shared() -> nn.Module:
    return _Shared()


class _Matmul(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ x.transpose(-1, -2) @ x


def matmul() -> nn.Module:
    return _Matmul()


def embedding() -> nn.Module:
    return nn.Sequential(nn.Embedding(50257, 256), nn.LayerNorm(256), nn.Linear(256, 64))


class _DictOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(256, 512), nn.Linear(512, 10)

    def forward(self, x: Tensor) -> dict[str, Any]:
        hidden = self.body(x).relu()
        return {"logits": self.head(hidden), "hidden": [hidden]}


def dict_output() -> nn.Module:
    return _DictOutput()


def trained_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def _convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())


def scripted() -> nn.Module:
    module: nn.Module = torch.jit.script(_convolutions().eval())
    return module


def exported() -> nn.Module:
    """The plain loop runs what users run: the module of the program."""
    module: nn.Module = _program().module()
    return module


def _program() -> Any:
    return torch.export.export(_convolutions().eval(), (torch.randn(1, 3, 64, 64),))


def export_program(folder: str | None = None) -> Path:
    """Writes `exported`'s program; the reference of a model is then the file."""
    path = Path(folder or tempfile.mkdtemp()) / "exported.pt2"
    torch.export.save(_program(), path)
    return path
