"""What a model's own forward computes is in no module; tables and page show it as the top level."""

from __future__ import annotations

import pytest

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.factor = nn.Parameter(torch.randn(8, 64))

    def forward(self, x):
        return self.first(x) @ self.factor
"""


@pytest.fixture
def selection(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return ("--model", "net.py:Net", "--input", "8")


def test_the_table_adds_up(analyze, selection):
    """8 x 8 multiply-adds in the layer, 8 x 64 in the product: 64 of 576 are 11.1 %."""
    lines = {line.split("  ")[0]: line.split() for line in analyze(*selection).out.splitlines()}
    assert lines["first"][5:7] == ["64", "11.1"]
    assert lines["(top level)"][2:6] == ["-", "512", "512", "88.9"]
    assert lines["total"][2] == "576"


def test_the_page_names_it_as_the_largest_part(analyze, selection):
    out = analyze("report", *selection, "--format", "md").out
    assert "88.9 % of them in (top level)" in out.replace("\\", "")
