"""`--input`: shapes without the batch, names, dtypes and literal shapes."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.core.parse_inputs import DTYPES, Input, image_shape, parse_input

PARSED = {
    "3x224x224": Input(None, (3, 224, 224)),
    " 3X224x224 ": Input(None, (3, 224, 224)),
    "128": Input(None, (128,)),
    "ids=128:int64": Input("ids", (128,), "int64"),
    "_x1=3x4": Input("_x1", (3, 4)),
    "3x4:bfloat16": Input(None, (3, 4), "bfloat16"),
    "!1x128:bool": Input(None, (1, 128), "bool", True),
    "mask=!1x128:bool": Input("mask", (1, 128), "bool", True),
    "999999999": Input(None, (999_999_999,)),
}


@pytest.mark.parametrize("text", PARSED)
def test_parse_input(text):
    assert parse_input(text) == PARSED[text]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_torchs(dtype):
    import torch

    assert parse_input(f"3x4:{dtype}").dtype == dtype
    assert isinstance(getattr(torch, dtype), torch.dtype)


def test_a_batch_is_put_in_front_unless_the_shape_is_literal():
    assert parse_input("ids=128:int64").batched(4) == (4, 128)
    assert parse_input("ids=!1x128:int64").batched(4) == (1, 128)


@pytest.mark.parametrize("text", ["1,3,64,64", "(1, 3, 64, 64)", "[1, 3, 64, 64,]", "1*3*64*64", " 1×3×64×64 "])
def test_a_shape_in_another_notation_is_refused_with_the_right_one(text):
    with pytest.raises(AnalyzerError, match="are separated by x: 1x3x64x64"):
        parse_input(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", "3x", "x3", "3xx4", "3x-1", "-3", "3.5", "3,", "3 x 4", "1" * 10, "٣x٤"),
        *("=3", "a=", "a b=3", "1a=3", "a=b=3", "a==3", "3:", ":int64", "3:int64:int64", "!!3", "!a=3", "a=!", "3!"),
    ],
)
def test_malformed(text):
    with pytest.raises(AnalyzerError) as caught:
        parse_input(text)
    assert str(caught.value).startswith(f"malformed input '{text}'; wanted SIZES")


@pytest.mark.parametrize("text", ["0", "3x0x4", "ids=0:int64", "!0x3"])
def test_a_size_of_zero(text):
    with pytest.raises(AnalyzerError, match=rf"^input '{text}' has a size of 0"):
        parse_input(text)


def test_an_unknown_type_lists_the_known():
    with pytest.raises(AnalyzerError) as caught:
        parse_input("3x4:float")
    assert str(caught.value) == f"input '3x4:float' has an unknown type; known: {', '.join(DTYPES)}"


# --- a variant's image -----------------------------------------------------------------------------------------------
def test_a_variant_takes_at_most_one_image():
    assert image_shape([]) is None
    assert image_shape([parse_input("1x28x30")]) == (1, 28, 30)


@pytest.mark.parametrize(
    "texts",
    [
        *(["3"], ["3x224"], ["2x3x224x224"], ["x=3x224x224"], ["!3x224x224"], ["3x224x224:float16"]),
        *(["3x224x224", "3x224x224"], ["3x224x224", "3"]),
    ],
)
def test_a_variant_refuses_other_inputs(texts):
    with pytest.raises(AnalyzerError, match="a variant takes one input, CHANNELSxHEIGHTxWIDTH"):
        image_shape([parse_input(text) for text in texts])


def test_inputs_are_for_every_model_and_variant_of_a_call(analyze, tmp_path, monkeypatch):
    """A variant refuses the second argument of a model before anything is counted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from torch import nn\nNet = lambda: nn.Bilinear(3, 5, 2)\n")
    both = ("--input", "3", "--input", "input2=5")
    assert analyze("--model", "net.py:Net", *both).status == 0
    assert analyze("--model", "net.py:Net", "--variant", "nin", *both).status == 2


def test_a_range_of_integers():
    spec = parse_input("ids=128:int64<50257")
    assert (spec.below, spec.text) == (50257, "ids=128:int64<50257")
    assert parse_input(spec.text) == spec


@pytest.mark.parametrize(
    "text", ["ids=128:int64<0", "128:float32<5", "128<5", "128:int64<", "128:int64<-1", "8:bool<2"]
)
def test_a_range_that_is_none(text):
    with pytest.raises(AnalyzerError):
        parse_input(text)
