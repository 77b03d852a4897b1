"""What a model's own forward computes is below no module: tables, the page and the summary show it all the same."""

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
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return ("--model", "net.py:Net", "--input", "8")


def test_the_table_adds_up(analyze, asked):
    """8 x 8 multiply-adds in the layer, 8 x 64 in the product: 64 of 576 are 11.1 %."""
    lines = {line.split("  ")[0]: line.split() for line in analyze(*asked).out.splitlines()}
    assert lines["first"][3:5] == ["64", "11.1"]
    assert lines["(top level)"][2:6] == ["-", "512", "512", "88.9"]
    assert lines["total"][2] == "576"


def test_the_page_names_it_as_the_largest_part(analyze, asked):
    out = analyze("report", *asked, "--format", "md").out
    assert "88.9 % of them in (top level)" in out.replace("\\", "")


def test_one_input_may_stand_for_itself():
    """A tensor is a sequence too: it is the input, and not so many inputs as it has samples."""
    import torch
    from torch import nn

    import analyzer

    assert analyzer.count(nn.Conv2d(3, 4, 3), torch.zeros(2, 3, 8, 8)).totals.macs == 2 * 6 * 6 * 4 * 27


def test_a_wrong_type_is_said_in_a_line():
    import analyzer
    from analyzer.core.errors import AnalyzerError

    with pytest.raises(AnalyzerError, match=r"cannot count a int; wanted a name, a reference or an nn.Module"):
        analyzer.count(42)
    from torch import nn

    with pytest.raises(AnalyzerError, match="kwargs is a int; wanted a dict"):
        analyzer.count(nn.Identity(), (), 5)


def test_what_is_meant_is_said(analyze, asked):
    assert "; write --variant googlenet; see analyze --help" in analyze("googlenet").err
    assert "give --variant NAME with it" in analyze(*asked, "--set", "a.b=3").err
