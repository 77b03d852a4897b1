"""`analyze net.py` without an input: parameters by module, and the option that adds the rest."""

from __future__ import annotations

import csv
import io
import json

import pytest

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.blocks = nn.Sequential(*[nn.Conv2d(8, 8, 3) for _ in range(4)])
        self.stem.requires_grad_(False)

    def forward(self, x):
        return self.blocks(self.stem(x))
"""
STEM, BLOCK = 8 * 3 * 3 * 3 + 8, 8 * 8 * 3 * 3 + 8


@pytest.fixture
def net(analyze, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return lambda *arguments: analyze("net.py", *arguments)


def test_a_table_with_trainable_and_frozen_parameters_and_the_option_to_add(net):
    shown = net()
    assert shown.status == 0
    assert "--input 3x224x224" in shown.err
    lines = {line.split()[0]: line.split() for line in shown.out.splitlines() if line}
    assert lines["blocks.0–3"][1:7] == ["4", "×", "Conv2d", "2.336", "k", "91.2"]
    assert ["0", str(STEM)] in (lines["stem"][-2:], lines["stem"][-3:-1])
    listed = net("--no-fold", "--depth", "2").out
    assert listed.count(str(BLOCK)) == 4 * 2  # In the columns params and trainable.


def test_json_and_csv_have_every_module_with_tensors(net):
    envelope = json.loads(net("--format", "json").out)
    assert (envelope["status"], envelope["records"]) == ("ok", [])  # As the exit status, which is 0.
    assert envelope["missing"] == ["macs", "flops", "activations", "bytes_read", "bytes_written"]
    (counted,) = envelope["parameters"]
    assert counted["wanted_input"] == "3x224x224"
    assert (counted["totals"]["trainable"], counted["totals"]["frozen"]) == (4 * BLOCK, STEM)
    rows = list(csv.DictReader(io.StringIO(net("--format", "csv").out)))
    assert [row["path"] for row in rows] == [row["path"] for row in counted["modules"]]
    assert sum(int(row["parameter_bytes"]) for row in rows) == 4 * (4 * BLOCK + STEM)


@pytest.mark.parametrize("option", [["--train"], ["--module", "stem", "--strict"]])
def test_what_needs_a_count_needs_an_input(net, option):
    refused = net(*option)
    assert (refused.status, refused.out) == (2, "")
    assert "--input 3x224x224" in refused.err
