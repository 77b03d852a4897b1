"""Models that fail in the ways of real ones; the tests copy this file."""

from __future__ import annotations

import os
import time

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, failure: str = "") -> None:
        super().__init__()
        self.linear, self.failure = nn.Linear(8, 4), failure

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.failure == "raise":
            raise RuntimeError("this model is broken")
        if self.failure == "exit":
            os._exit(3)
        if self.failure == "hang":
            time.sleep(3600)
        if self.failure == "memory" and not x.is_meta:
            torch.ones(1 << 40)
        return self.linear(x)
