from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.scaling.axes import Axis, parse_axes, parse_values


class Model:
    sizes = {"batch": 1, "height": 224, "width": 224, "frames": 16, "conv1.conv.out": 64}

    def full_name(self, name: str) -> str:
        return {"conv1.out": "conv1.conv.out"}.get(name, name)


AXES = (Axis("batch", ("batch",), 1), Axis("height", ("height", "width"), 224))


def test_axes_are_single_or_coupled_sizes():
    assert parse_axes("batch, height=width,conv1.out", Model()) == (
        *AXES,
        Axis("conv1.conv.out", ("conv1.conv.out",), 64),
    )


@pytest.mark.parametrize("text", ["", "depth", "batch,batch", "height=height", "height=frames", "batch,"])
def test_axes_that_do_not_exist_are_errors(text):
    with pytest.raises(AnalyzerError):
        parse_axes(text, Model())


def test_a_wrong_axis_lists_those_of_the_model():
    """Of a built-in network with hundreds of numbers, the sizes of its input and one of the others."""
    model = Model()
    model.sizes = {**Model.sizes, **{f"conv{number}.out": 8 for number in range(2, 100)}}
    with pytest.raises(AnalyzerError, match=r"batch, height, width, frames and 99 numbers of layers, such as conv1"):
        parse_axes("depth", model)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("height=8", {"height": (8,)}),
        ("width=1,8,8,32", {"height": (1, 8, 32)}),
        ("batch=112..672:280", {"batch": (112, 392, 672)}),
        ("batch=1..3", {"batch": (1, 2, 3)}),
        ("batch=100..900:x3", {"batch": (100, 300, 900)}),
        ("batch=1,4..16:x2,20", {"batch": (1, 4, 8, 16, 20)}),
    ],
)
def test_values(text, wanted):
    assert parse_values([text], AXES) == wanted


def test_a_single_axis_needs_no_name():
    assert parse_values(["64..128:x2"], AXES[1:]) == {"height": (64, 128)}


@pytest.mark.parametrize(
    "texts",
    [
        ["8"],  # Of which of two axes?
        ["depth=8"],
        ["batch="],
        ["batch=0"],
        ["batch=-1"],
        ["batch=8..4"],
        ["batch=1..8:0"],
        ["batch=1..8:x1"],
        ["batch=1..999999999"],
        ["batch=9999999999"],
        ["batch=1", "batch=2"],
        ["batch=٣"],
    ],
)
def test_values_that_cannot_be_read_are_errors(texts):
    with pytest.raises(AnalyzerError):
        parse_values(texts, AXES)
