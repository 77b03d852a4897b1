"""Models as arguments: which name is which model, in any mix with options, case and order."""

from __future__ import annotations

import json

import click
import pytest

from analyzer.cli.commands.check import parse_tolerance
from analyzer.cli.model_arguments import is_model, sort_models, split_names

NET = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(x)

class Net(nn.Module):
    def __init__(self, width=4, *, blocks=1):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])

    def forward(self, x):
        return self.blocks(x)
"""


@pytest.fixture
def models(analyze, tmp_path, monkeypatch):
    """A function that returns the MACs of every model of a command line by label."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")

    def run(*arguments: str) -> dict[str, int]:
        outcome = analyze(*arguments, "--format", "json")
        assert outcome.status == 0, outcome.err
        return {record["model"]: record["totals"]["macs"] for record in json.loads(outcome.out)["records"]}

    return run


def conv_macs(width: int, blocks: int) -> int:
    return blocks * width * 8 * 8 * 3 * 3 * width


def test_a_comma_in_brackets_or_before_an_override_is_part_of_a_name():
    assert split_names(["net.py:Net(1,width=2),nin", "alexnet"], "x") == ("net.py:Net(1,width=2)", "nin", "alexnet")
    assert split_names(["nin,vgg16@a.out=1,b.out=2,alexnet"], "x") == ("nin", "vgg16@a.out=1,b.out=2", "alexnet")


def test_built_in_names_have_any_case_and_references_keep_theirs():
    assert sort_models(["GoogLeNet@conv1.out=3,AlexNet", "Net.py"]) == (
        ("googlenet@conv1.out=3", "alexnet"),
        ("Net.py",),
    )


@pytest.mark.parametrize("argument", ["net.py", "net.py:Net", "googlenet", "googlenet@conv1.out=3", "hf:./folder"])
def test_a_model_is_no_file_of_records(argument):
    assert is_model(argument)


@pytest.mark.parametrize("argument", ["run.json", "runs/a", "../b"])
def test_a_file_of_records_is_no_model(argument):
    assert not is_model(argument)


def test_arguments_options_and_lists_mix(models):
    assert list(models("nin", "--variant", "AlexNet,vgg16")) == ["nin", "alexnet", "vgg16"]
    assert list(models("--variant", "nin", "alexnet")) == ["alexnet", "nin"]


def test_the_only_model_of_a_file_that_needs_no_arguments(models):
    assert models("net.py", "--input", "4x8x8") == {"net.py:Net": conv_macs(4, 1)}


def test_constructor_arguments(models):
    counted = models("net.py:Net(2, blocks=3)", "--input", "2x8x8")
    assert counted == {"net.py:Net(2, blocks=3)": conv_macs(2, 3)}
    assert models("--model", "net.py:Block(width=5)", "--input", "5x8x8") == {"net.py:Block(width=5)": conv_macs(5, 1)}


@pytest.mark.parametrize(
    ("source", "reference", "words"),
    [
        (NET, "net.py:Net(width=print())", ["literals"]),
        (NET, "net.py:Net(**{})", ["literals"]),
        (NET, "net.py:Net(4", ["literals"]),
        (NET, "net.py:Net(depth=4)", ["'depth'"]),
        (NET.replace("width=4", "width"), "net.py", ["need arguments", "net.py:Block(…)"]),
        (NET.replace("(self, width)", "(self, width=4)"), "net.py", ["2 models", "net.py:Block, net.py:Net"]),
        ("x = 1", "net.py", ["no subclass of torch.nn.Module"]),
    ],
)
def test_a_reference_that_leaves_the_model_open_is_an_error(analyze, tmp_path, monkeypatch, source, reference, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(source, encoding="utf-8")
    outcome = analyze(reference, "--input", "4x8x8")
    assert (outcome.status, outcome.out) == (2, "")
    assert all(word in outcome.err for word in words), outcome.err


def test_a_function_is_the_model_of_a_file_without_classes(models, tmp_path):
    source = "from torch import nn\ndef net():\n    return nn.Conv2d(2, 2, 3, padding=1)\ndef _helper(): ...\n"
    (tmp_path / "net.py").write_text(source, encoding="utf-8")
    assert models("net.py", "--input", "2x8x8") == {"net.py:net": conv_macs(2, 1)}


def test_a_command_comes_before_a_model(analyze):
    assert analyze("list").out.startswith("Variants")


def test_rows_are_chosen_sorted_and_limited(analyze):
    shown = analyze("alexnet", "--by", "operator", "--sort", "params", "--top", "1")
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[3].startswith("linear ")  # 58.6 of 61 million parameters.
    assert "more)" in lines[4]


@pytest.mark.parametrize("name", ["x.json", "x.csv", "x.md", "x.tex"])
def test_the_suffix_of_the_output_is_the_default_format(analyze, tmp_path, name):
    assert analyze("alexnet", "-o", str(tmp_path / name)).status == 0
    written = (tmp_path / name).read_text(encoding="utf-8")
    forms = {"x.json": "json", "x.csv": "csv", "x.md": "md", "x.tex": "latex"}
    assert written == analyze("alexnet", "--format", forms[name]).out


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("150%", 1.5), ("1", 1.0)])
def test_a_tolerance_is_a_share_or_percent(text, value):
    assert parse_tolerance(None, None, text) == value


@pytest.mark.parametrize("text", ["5", "1.01", "x%", "inf"])
def test_a_tolerance_above_1_needs_a_percent_sign(text):
    with pytest.raises(click.BadParameter):
        parse_tolerance(None, None, text)


def test_a_comparison_has_the_order_typed(analyze, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from torch import nn\n\nNet = lambda: nn.Conv2d(3, 4, 3)\n", encoding="utf-8")
    done = analyze("vgg16", "net.py", "nin", "--variant", "alexnet", "--input", "3x64x64", "--format", "json")
    names = [record["model"] for record in json.loads(done.out)["records"]]
    assert names == ["vgg16", "net.py:Net", "nin", "alexnet"]


@pytest.mark.parametrize("name", ["net.pt", "weights.PTH", "folder/model.onnx", "model.safetensors"])
def test_a_file_of_weights_or_pickles_is_refused_with_what_to_give(analyze, name):
    outcome = analyze(name)
    assert outcome.status == 2
    assert "FILE.py" in outcome.err
    assert ".pt2" in outcome.err
