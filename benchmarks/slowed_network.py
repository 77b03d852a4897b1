"""A network of about 5 ms on one thread, and a version slowed by real operators, for benchmarks/time_gate.py.

The slowdown is `GATE_EXTRA` small matrix products whose result is used. Sleeping would take no CPU time. `GATE_REPEATS`
is the number of times that a pass runs the network, for passes of half a second.
"""

from __future__ import annotations

import os
from itertools import pairwise

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Convolutions, norms, pools and a classifier for 3x96x96 images, and `extra` matrix products."""

    def __init__(self, extra: int = 0) -> None:
        super().__init__()
        widths = (3, 32, 48, 64, 96, 128)
        blocks = [
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2))
            for before, after in pairwise(widths)
        ]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(128 * 3 * 3, 100)
        self.extra = extra
        self.repeats = int(os.environ.get("GATE_REPEATS", "1"))
        self.factor = nn.Parameter(torch.randn(64, 64) / 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.run_once(x) for _ in range(self.repeats)])

    def run_once(self, x: Tensor) -> Tensor:
        x = self.classifier(self.features(x).flatten(1))
        product: Tensor = self.factor
        for _ in range(self.extra):
            product = product @ self.factor
        return x + product[0, 0] if self.extra else x


def plain() -> Net:
    return Net()


def slowed() -> Net:
    return Net(int(os.environ["GATE_EXTRA"]))


def inputs() -> tuple[Tensor]:
    return (torch.zeros(1, 3, 96, 96),)
