"""Formulas of networks against counts, and against the arithmetic of their layers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import analyzer
from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.networks import VARIANTS
from analyzer.scaling.api import scale
from analyzer.scaling.largest_sizes import capacity, dominates_from, largest_operators

WINDOW = """
from torch import bmm, nn

class Window(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        x = self.linear(x)
        return bmm(x, x[:, -64:].transpose(1, 2))

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        for _ in range(x.shape[1].bit_count()):
            x = self.linear(x)
        return x
"""


def test_googlenet():
    costs = scale("googlenet", over="batch,height=width")
    # Every convolution has the stride 32 or less. The last layer, 1024 → 1000, is behind a global average.
    assert costs.polynomial("macs").text() == "batch · (1,024,000 + 32,278,528·(height/32)²)"
    assert 1_024_000 + 32_278_528 * 7**2 == 1_582_671_872
    assert costs.at(batch=1, height=224) == 1_582_671_872
    assert costs.at(metric="params", batch=8, height=96) == 6_998_552
    # 225 is no multiple of 32: counted.
    assert costs.at(width=225) == analyzer.count("googlenet", input=(3, 225, 225)).totals.macs


def test_a_width_of_a_layer():
    # The 1x1 reduction from 480 channels and the 5x5 convolution to 48, both on 14x14.
    costs = scale("googlenet", over="inception_4a.reduce_5x5", module="inception_4a.branch_5x5")
    assert costs.formula("macs").coeff(*costs.formula("macs").free_symbols) == 14 * 14 * (480 + 5 * 5 * 48)
    assert costs.at(metric="macs", **{"inception_4a.reduce_5x5": 16}) == 5_268_480


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("train", [False, True])
def test_formulas_equal_counts_at_random_sizes(name, train):
    costs = scale(name, over="batch,height,width", train=train)
    assert costs.fits[0].reasons == {}
    domains = {axis: fit.domain for axis, fit in costs.fits[0].axes.items()}
    choose = random.Random(name)
    for _ in range(8):
        sizes = {
            axis: domain.low + domain.step * choose.randint(0, (domain.high - domain.low) // domain.step)
            for axis, domain in domains.items()
        }
        record = analyzer.count(name, input=(3, sizes["height"], sizes["width"]), batch=sizes["batch"], train=train)
        for metric in costs.metrics:
            assert costs.fits[0].formulas[metric].at(sizes) == record.totals.value(metric), (metric, sizes)


def test_coupled_sizes_and_the_smallest():
    costs = scale("googlenet", over="height=width")
    smallest = costs.smallest(costs.axes[0])
    analyzer.count("googlenet", input=(3, smallest, smallest))
    with pytest.raises(AnalyzerError):
        analyzer.count("googlenet", input=(3, smallest - 1, smallest - 1))


def test_frame_and_unknown_names():
    costs = scale("nin", over="batch,height=width")
    frame = costs.frame(height=[224, 256], batch="1..4:x2")
    assert list(frame["batch"]) == [1, 1, 2, 2, 4, 4]
    assert frame["macs"][3] == analyzer.count("nin", input=(3, 256, 256), batch=2).totals.macs
    figure = costs.figure("params", height=[224, 256], batch="1..4:x2")
    assert [line.name for line in figure.data] == ["height 224", "height 256"]
    assert repr(costs).startswith("<Scaling nin over batch, height=width: MACs batch · (")
    with pytest.raises(AnalyzerError, match="it has batch, height, width"):
        costs.at(depth=3)
    with pytest.raises(AnalyzerError, match="no metric"):
        costs.at(metric="mac")


def test_a_window_that_stops_growing_has_two_ranges(tmp_path: Path):
    file = tmp_path / "window.py"
    file.write_text(WINDOW, encoding="utf-8")
    costs = scale(f"{file}:Window", over="arg0.1", input="32x16")
    # n tokens: 16 · 16 per token in the linear layer, then n · min(n, 64) products of 16.
    first, second = (fit.formulas["macs"].text() for fit in costs.fits)
    assert first == "arg0.1 · (256 + 16·arg0.1)"
    assert second == f"{256 + 64 * 16:,}·arg0.1"
    assert costs.fits[0].axes["arg0.1"].domain.high == 64
    assert costs.at(**{"arg0.1": 500}) == 500 * (256 + 64 * 16)
    # The product of tokens with each other has more MACs than the linear layer from 17 tokens on: 16·17 > 256.
    assert largest_operators(costs, costs.axes[0]) == [(1, "linear"), (17, "bmm")]
    odd = scale(f"{file}:Odd", over="arg0.1", input="32x16")
    with pytest.raises(CannotMeasure, match=r"no polynomial in arg0\.1"):
        odd.formula()
    assert odd.at(**{"arg0.1": 255}) == 8 * 255 * 16 * 16


TAKEN = """
from torch import nn

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 4)

    def forward(self, x):
        return self.linear(x.flatten(1))

class Multiples(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)

    def forward(self, x):
        if x.shape[-1] % 8:
            raise ValueError("wanted a multiple of 8")
        return self.conv(x)

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        x = self.linear(x)
        return nn.functional.scaled_dot_product_attention(x, x, x)
"""


@pytest.mark.slow
def test_the_sizes_that_a_model_takes(tmp_path: Path):
    file = tmp_path / "taken.py"
    file.write_text(TAKEN, encoding="utf-8")
    with pytest.raises(AnalyzerError, match=r"accepts only height = width 4"):
        scale(f"{file}:Fixed", over="height=width", input="1x4x4")
    costs = scale(f"{file}:Fixed", input="1x4x4")
    assert [axis.name for axis in costs.axes] == ["batch"]
    assert costs.polynomial("macs").text() == "64·batch"
    costs = scale(f"{file}:Multiples", over="height=width", input="3x32x32")
    assert costs.taken(costs.axes[0]) == "the model accepts height = width 8, 16, 24, …"


def test_where_attention_overtakes_the_rest(tmp_path: Path):
    file = tmp_path / "taken.py"
    file.write_text(TAKEN, encoding="utf-8")
    costs = scale(f"{file}:Attention", over="arg0.1", input="8x16")
    # 16 · 16 products per token in the linear layer, 2 · 16 per pair of tokens: more from 9 tokens on.
    size, operator = dominates_from(costs, costs.axes[0])
    assert size == 9
    assert "attention" in operator


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24 * 10**9), ("1.5 GiB", 3 * 2**29), ("h100", 80 * 10**9), ("512MB", 512 * 10**6)]
)
def test_capacities(text, size):
    assert capacity(text).size == size


def test_errors_name_parameters(tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\nNet = nn.Conv2d(3, 4, 3)\n", encoding="utf-8")
    for arguments, words in (({}, r"add input='3x224x224'"), ({"input": "8x8x3"}, r"give input='3x8x8'$")):
        with pytest.raises(AnalyzerError, match=words) as error:
            scale(f"{tmp_path / 'net.py'}:Net", **arguments)
        assert "--" not in str(error.value)
