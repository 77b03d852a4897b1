"""`analyzer.params`: every tensor once, trainable or frozen, with its bytes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS


class Tied(nn.Module):
    """4 x 3 shared weights, 4 biases and a scale of its own; a layer that is used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 3)
        self.head = nn.Linear(3, 4)
        self.head.weight = self.embed.weight
        self.again = self.head
        self.scale = nn.Parameter(torch.ones(5, dtype=torch.float64))
        self.register_buffer("mask", torch.zeros(7, dtype=torch.bool))


def test_shared_tensors_are_counted_once():
    counted = analyzer.params(Tied())
    total = counted.total
    assert (total.params, total.parameter_bytes) == (4 * 3 + 4 + 5, 4 * (4 * 3 + 4) + 8 * 5)
    assert (total.buffers, total.buffer_bytes) == (7, 7)
    assert {row.path: row.params for row in counted.modules} == {"": 5, "embed": 12, "head": 4}
    assert counted.frame().trainable.sum() == total.params


def test_frozen_parameters_are_apart():
    net = nn.Sequential(nn.Linear(4, 3).requires_grad_(False), nn.BatchNorm1d(3, dtype=torch.bfloat16))
    total = analyzer.params(net).total
    assert (total.trainable, total.frozen) == (3 + 3, 4 * 3 + 3)
    assert total.parameter_bytes == 4 * (4 * 3 + 3) + 2 * (3 + 3)
    # Running mean and variance, and a number of batches in int64.
    assert (total.buffers, total.buffer_bytes) == (3 + 3 + 1, 2 * (3 + 3) + 8)


def test_the_table_adds_up_and_shows_a_modules_own_parameters():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)
            self.own = nn.Parameter(torch.ones(3))

    net = nn.Sequential(Block(), nn.Linear(2, 5))
    net.register_parameter("top", nn.Parameter(torch.ones(4)))
    (table,) = analyzer.params(net).table(depth=2).tables
    shown = [(row[0].text, row[0].depth, row[2].value) for row in table.rows]
    assert shown == [
        ("0", 0, 9), ("(own parameters)", 1, 3), ("inner", 1, 6), ("1", 0, 15), ("(top level)", 0, 4), ("total", 0, 28),
    ]  # fmt: skip
    assert [row[1] for row in table.rows] == ["Block", "", "Linear", "Linear", "", ""]
    assert [row[0].text for row in analyzer.params(net).table().tables[0].rows] == ["0", "1", "(top level)", "total"]


@pytest.mark.parametrize("name", VARIANTS)
def test_built_in_networks_agree_with_their_closed_form(name):
    assert analyzer.params(name).params == analyzer.count(name).totals.params


def test_a_reference_needs_no_input(tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\nNet = lambda: nn.Linear(4, 3)\n", encoding="utf-8")
    assert analyzer.params(f"{tmp_path / 'net.py'}:Net").params == 4 * 3 + 3


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_module_has_the_names_of_its_classes():
    scripted = torch.jit.trace(nn.Sequential(nn.Linear(4, 3)), torch.zeros(1, 4))
    assert [(row.path, row.type, row.params) for row in analyzer.params(scripted).modules] == [
        ("", "Sequential", 0), ("0", "Linear", 15),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.LazyLinear(3)), r"Sequential\.0 \(LazyLinear\) has parameters without a shape"),
        (3, "type int has no parameters; wanted"),
        (nn.Linear, "has no parameters; wanted"),
        ("nim", "nearest: nin"),
    ],
)
def test_models_without_parameters_to_count_are_refused(model, message):
    with pytest.raises(analyzer.AnalyzerError, match=message):
        analyzer.params(model)


def test_the_table_is_that_of_the_command_line_without_an_input(tmp_path, analyze):
    """Nearly everything is in `body`: both show its layers; and both show equal layers in one row."""
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.body = nn.Sequential(*[nn.Linear(64, 64) for _ in range(4)], nn.BatchNorm1d(64))\n\n"
        "    def forward(self, x):\n        return self.body(x)\n"
    )
    result = analyze(f"{path}:Net")
    counted = analyzer.params(f"{path}:Net")
    shown = [line.rstrip() for line in str(counted).splitlines()[1:]]
    assert shown == [line.rstrip() for line in result.out.rstrip("\n").splitlines()[1:]]
    names = [row[0].text for row in counted.table(fold=False).tables[0].rows]
    assert names == ["body", "0", "1", "2", "3", "4", "total"]
    assert len(counted.table().tables[0].rows) < len(names)
    with pytest.raises(AnalyzerError, match="depth"):
        counted.table(depth=0)
