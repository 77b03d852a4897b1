"""Sizes with and without the batch: which reading a model gets, and the note that says so."""

from __future__ import annotations

import pytest
from torch import nn

from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.core.parse_inputs import image_shape, parse_input, without_batch
from analyzer.counting.api import count

NETS = """
from torch import nn

class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        assert x.ndim == 4
        return self.conv(x)

class Any(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 2)

    def forward(self, x):
        return self.layer(x)

class Image(nn.Module):
    def forward(self, x):
        return x.relu()

class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(10, 4)

    def forward(self, ids, mask, *, scale=1):
        return self.words(ids) * mask
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NETS, encoding="utf-8")
    return lambda name: f"{path}:{name}"


@pytest.mark.parametrize(
    ("name", "text", "batch", "shape", "words"),
    [
        ("Conv", "1x3x8x8", 1, (1, 3, 8, 8), ["as 3x8x8 at batch 1"]),
        ("Conv", "2x3x8x8", 2, (2, 3, 8, 8), ["as 3x8x8 at batch 2"]),
        ("Conv", "5x3x8x8", 1, (5, 3, 8, 8), ["5x3x8x8 was read as 3x8x8 at batch 5"]),
        ("Conv", "1x3x8x8", 5, (5, 3, 8, 8), ["1x3x8x8 was read as 3x8x8 at batch 5"]),
        ("Any", "5x8", 1, (1, 5, 8), []),
        ("Any", "1x8", 1, (1, 1, 8), ["one sample", "give 8"]),
        ("Any", "5x8", 5, (5, 5, 8), ["one sample"]),
        ("Any", "8", 8, (8, 8), []),
        ("Image", "1x28x28", 1, (1, 1, 28, 28), []),
    ],
)
def test_the_batch_is_in_the_sizes_only_if_the_model_refuses_them_as_a_sample(net, name, text, batch, shape, words):
    record = count(net(name), input=text, batch=batch)
    assert record.input == (shape,)
    assert len(record.notes) == bool(words)
    assert all(word in record.notes[0] for word in words)


def test_a_module_in_python_takes_both(net):
    record = count(nn.Conv2d(3, 4, 3), input="2x3x8x8", batch=2)
    assert record.input == ((2, 3, 8, 8),)
    assert "at batch 2" in record.notes[0]
    assert count(nn.Conv2d(3, 4, 3), input="5x3x8x8").input == ((5, 3, 8, 8),)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--input", "5x3x8x8", "--batch", "2"], "give --input 3x8x8 --batch 5"),
        (["--input", "8x8x3"], "channels first: give --input 3x8x8"),
        (["--input", "5x8x8"], "got 5 channels instead"),
    ],
)
def test_a_refused_input_has_advice_that_works(net, analyze, arguments, advice):
    assert analyze(net("Conv"), *arguments).err.splitlines()[0].endswith(advice)


def test_memory_at_another_batch_counts_the_samples(net):
    counter = Selection(references=(net("Conv"),), inputs=("5x3x8x8",)).counters()[0]
    assert [counter(**batch).input for batch in ({}, {"batch": 1}, {"batch": 2})] == [
        ((number, 3, 8, 8),) for number in (5, 1, 2)
    ]


def test_a_model_that_runs_on_neither_reading_is_refused_as_typed(net):
    with pytest.raises(AnalyzerError, match="1x1x5x8x8"):
        count(net("Conv"), input="1x5x8x8")


@pytest.mark.parametrize(("name", "sizes"), [("Conv", "3x224x224"), ("Any", "8"), ("Ids", "128:int64")])
def test_a_model_without_a_known_input_gets_sizes_for_its_first_layer(net, name, sizes):
    with pytest.raises(AnalyzerError, match=f"input='{sizes}'"):
        count(net(name))


def test_every_required_argument_is_an_option(net, analyze):
    assert "--input 128:int64 --input mask=SIZES (" in analyze(net("Ids")).err


def test_an_image_of_a_built_in_network_may_have_the_batch_in_front():
    assert image_shape([parse_input("2x3x64x64")], 2) == (3, 64, 64)
    assert image_shape([parse_input("1x3x64x64")], 2) == (3, 64, 64)
    with pytest.raises(AnalyzerError, match=r"CHANNELS.*here --input 3x64x64 --batch 2"):
        image_shape([parse_input("2x3x64x64")], 1)


def test_literal_shapes_and_single_sizes_have_no_batch_to_leave_out():
    inputs = [parse_input(text) for text in ("!1x8", "1", "2x8", "ids=1x8:int64")]
    assert [spec.shape for spec in without_batch(inputs, 1)] == [(1, 8), (1,), (2, 8), (8,)]
