"""Exported programs whose inputs or outputs are of classes of the user's own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import analyzer
from tests.torch_releases import UNFLATTENS_SEQUENTIAL

pytestmark = pytest.mark.slow  # Each test starts processes that import torch.

REGISTERS = """
import dataclasses
import torch
from torch.utils import _pytree as pytree

class Pair:
    def __init__(self, first, second):
        self.first, self.second = first, second

@dataclasses.dataclass
class Output:
    scores: torch.Tensor

names = [pytree.GetAttrKey("first"), pytree.GetAttrKey("second")]
values = lambda pair: [pair.first, pair.second]
pytree.register_pytree_node(
    Pair,
    lambda pair: (values(pair), None),
    lambda values, context: Pair(*values),
    serialized_type_name="shop.pairs.Pair",
    flatten_with_keys_fn=lambda pair: (list(zip(names, values(pair))), None),
)
torch.export.register_dataclass(Output, serialized_type_name="shop.pairs.Output")
"""
EXPORTS = """
import torch
from torch import nn
from shop.pairs import Output, Pair

class Net(nn.Module):
    def __init__(self, takes, returns):
        super().__init__()
        self.layer, self.takes, self.returns = nn.Linear(4, 5), takes, returns

    def forward(self, x):
        y = self.layer(x.first) + x.second if self.takes else self.layer(x)
        return Output(y) if self.returns else y

for name, takes, returns in (("takes", True, False), ("returns", False, True), ("both", True, True)):
    source = Pair(torch.zeros(3, 4), torch.zeros(5)) if takes else torch.zeros(3, 4)
    torch.export.save(torch.export.export(Net(takes, returns), (source,)), name + ".pt2")
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Made in another process: in this one no import registers the classes."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "pairs.py").write_text(REGISTERS, encoding="utf-8")
    subprocess.run([sys.executable, "-W", "ignore", "-c", EXPORTS], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("name", "classes"), [("takes", ["Pair"]), ("returns", ["Output"]), ("both", ["Pair", "Output"])]
)
def test_an_unregistered_class_names_the_import_that_registers_it(analyze, programs, name, classes):
    outcome = analyze("--model", str(programs / f"{name}.pt2"))
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)
    assert "imports shop.pairs" in outcome.err
    assert all(f"shop.pairs.{kind}" in outcome.err for kind in classes)


@pytest.mark.parametrize("name", ["takes", "returns", "both"])
def test_after_the_import_the_program_counts(programs, name):
    code = f"import shop.pairs, analyzer; print(analyzer.count('{name}.pt2').totals.macs)"
    done = subprocess.run([sys.executable, "-c", code], cwd=programs, capture_output=True, text=True, check=False)
    assert done.stdout == f"{3 * 4 * 5}\n", done.stderr


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "net.pt2").write_bytes(b"text")
    with pytest.raises(analyzer.AnalyzerError, match=r"cannot be read as a torch\.export program"):
        analyzer.count(str(tmp_path / "net.pt2"))


@UNFLATTENS_SEQUENTIAL
def test_the_types_of_modules_are_those_that_were_exported(tmp_path):
    net = torch.nn.Sequential(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), torch.nn.Flatten())
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 8, 8),)), tmp_path / "net.pt2")
    types = analyzer.count(str(tmp_path / "net.pt2")).count.types
    assert {types[path] for path in ("0", "0.0", "0.1")} == {"Sequential", "Conv2d", "ReLU"}
