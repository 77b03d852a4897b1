"""The Python interface: public names, arguments, results and errors."""

from __future__ import annotations

import traceback

import pytest
import torch

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.records.comparison import Comparison
from analyzer.records.record import Record


def test_every_public_name_is_there_and_listed():
    for name in analyzer.__all__:
        assert getattr(analyzer, name) is not None
        assert name in dir(analyzer)
    with pytest.raises(AttributeError, match="module 'analyzer' has no attribute 'nothing'"):
        _ = analyzer.nothing


def test_count_returns_a_record():
    record = analyzer.count("googlenet", input=(3, 320, 320), batch=4, train=True)
    assert isinstance(record, Record)
    assert (record.model, record.mode, record.dtype) == ("googlenet", "training", "float32")
    assert record.input == ((4, 3, 320, 320),)
    assert record.agreement is None
    assert record.overrides == {}


@pytest.mark.parametrize("model", ["googlenet", torch.nn.ReLU()])
def test_a_training_setup_needs_training(model):
    """Without the check the memory is that of inference, and the optimizer is ignored."""
    with pytest.raises(AnalyzerError, match="needs train=True"):
        analyzer.count(model, memory=analyzer.TrainingSetup("adam"))


def test_counting_a_reference_restores_what_its_file_sets(tmp_path):
    for name, setting in {"double.py": "torch.set_default_dtype(torch.float64)", "net.py": ""}.items():
        (tmp_path / name).write_text(
            f"import torch\n{setting}\nNet = lambda: torch.nn.Linear(4, 2)\ninputs = lambda: torch.zeros(3, 4)\n"
        )
    dtypes = [analyzer.count(f"{tmp_path}/{name}:Net").dtype for name in ("double.py", "net.py")]
    assert dtypes == ["float64", "float32"]
    assert torch.get_default_dtype() == torch.float32


def test_input_defaults_to_that_of_the_network():
    assert analyzer.count("alexnet").input == ((1, 3, 227, 227),)
    assert analyzer.count("googlenet").input == ((1, 3, 224, 224),)


@pytest.mark.parametrize("counter", ["closed_form", "dispatch"])
def test_the_record_names_its_counter(counter):
    record = analyzer.count("nin", counter=counter)
    assert record.count.counter == counter
    assert record.totals.macs == analyzer.count("nin").totals.macs


def test_verify_adds_the_agreement():
    record = analyzer.count("nin", input=(3, 64, 64), verify=True)
    assert record.count.counter == "closed_form"
    assert record.agreement.differences == ()


def test_compare_returns_a_comparison():
    comparison = analyzer.compare("nin", "alexnet", input=(3, 224, 224), batch=2, train=True)
    assert isinstance(comparison, Comparison)
    assert comparison.labels == ("nin", "alexnet")
    assert {record.input for record in comparison.records} == {((2, 3, 224, 224),)}
    assert {record.mode for record in comparison.records} == {"training"}


def test_unknown_names_are_refused():
    with pytest.raises(analyzer.AnalyzerError, match="unknown variant 'resnet'"):
        analyzer.count("resnet")


NET = """
import torch
from torch import nn


def Net():
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 3, bias=False))


def Wider():
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 6, bias=False))
"""


def test_a_reference_counts_like_on_the_command_line(tmp_path):
    """A batch of 2 with 7 words of 8 numbers, 3 products of 8 each: 2 x 7 x 3 x 8."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    reference = f"{tmp_path / 'net.py'}:Net"
    for given in ("7:int64", ["7:int64"]):
        record = analyzer.count(reference, input=given, batch=2)
        assert (record.totals.macs, record.totals.params) == (336, 50 * 8 + 8 * 3)
    assert analyzer.count(reference, input="7:int64", train=True).totals.backward_macs == 2 * 168
    wider = reference.replace(":Net", ":Wider")
    assert analyzer.compare(reference, wider, input="7:int64").totals["macs"].ratio == 2


def test_a_name_may_have_overrides():
    changed = analyzer.count("googlenet@inception_4a.reduce_5x5=32")
    assert changed.totals == analyzer.count("googlenet", overrides={"inception_4a.reduce_5x5": 32}).totals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "googlenet", "input": 224}, r"input is 224; wanted a shape without the batch, \(3, 224"),
        ({"model": "googlenet", "input": (3, 2.5, 224)}, r"input is \(3, 2.5, 224\); wanted"),
        ({"model": "googlenet", "input": ()}, r"input is \(\); wanted"),
        ({"model": "googlenet", "input": (3, 224)}, "a variant takes one input, CHANNELSxHEIGHTxWIDTH"),
        ({"model": "googlenet", "input": (3, 0, 224)}, r"input is \(3, 0, 224\); wanted"),
        ({"model": "googlenet", "input": (True, 224, 224)}, r"input is \(True, 224, 224\); wanted"),
        ({"model": "googlenet", "batch": 2.5}, r"batch is 2\.5; wanted a whole number of at least 1"),
        ({"model": "googlenet", "batch": "8"}, r"batch is '8'; wanted a whole number"),
        ({"model": "net.py:Net", "batch": 0}, r"batch is 0; wanted a whole number"),
        ({"model": "googlenet", "counter": "x"}, "unknown counter 'x'; wanted one of: closed_form, dispatch"),
        ({"model": "googlenet", "memory": "x"}, "memory is .x.; wanted True, False or a TrainingSetup"),
        ({"model": "googlenet", "overrides": 5}, "overrides is a int; wanted a dict"),
        ({"model": "googlenet", "overrides": {"conv1.out": 2.5}}, r"conv1\.out is 2\.5; wanted a whole number"),
        ({"model": "googlenet", "overrides": {5: 1}}, "no number '5' in googlenet"),
        ({"model": torch.nn.Linear}, r"the class Linear; wanted an instance, Linear\(…\)"),
        ({"model": "googlenet", "input": "ids=7:int64"}, "a variant takes one input"),
        (
            {"model": "googlenet", "args": (1,)},
            "googlenet is a name: give input",
        ),
        ({"model": "net.py:Net", "verify": True}, "net.py:Net is a reference; overrides and verify are for built-in"),
        ({"model": torch.nn.Identity(), "args": torch.zeros(1), "input": "8"}, "leave out args and kwargs, or input"),
        ({"model": torch.nn.Identity(), "kwargs": {"x": 1}, "input": "8"}, "leave out args and kwargs, or input"),
        ({"model": torch.nn.Identity(), "args": torch.zeros(1), "batch": 2}, "batch is for input"),
        (
            {"model": torch.nn.Identity(), "args": torch.zeros(1), "verify": True},
            "overrides and verify are for built-in",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(analyzer.AnalyzerError, match=message):
        analyzer.count(**arguments)


def test_build_accepts_the_same_names():
    built = analyzer.build("googlenet@inception_4a.reduce_5x5=32")
    assert built.inception_4a.branch_5x5.reduce.conv.out_channels == 32
    for name in (5, None):
        with pytest.raises(analyzer.AnalyzerError, match="is not a network name; see analyze list"):
            analyzer.build(name)


def test_a_module_takes_its_input_as_sizes():
    """2 x 4 channels of 6 x 6 positions, 3 x 3 x 3 products each."""
    convolution = torch.nn.Conv2d(3, 4, 3)
    for given in ("3x8x8", (3, 8, 8), ["3x8x8"], torch.Size((3, 8, 8)), "input=!2x3x8x8"):
        record = analyzer.count(convolution, input=given, batch=2)
        assert record.input == ((2, 3, 8, 8),)
        assert record.totals.macs == (2 * 4 * 6 * 6) * (3 * 3 * 3)
    embedding = analyzer.count(torch.nn.Embedding(9, 5), input=["7:int64"], batch=3)
    assert embedding.rows[0].outputs == ((3, 7, 5),)


def test_an_input_of_zeros_is_where_the_parameters_are():
    meta = torch.nn.Linear(4, 2, device="meta")
    assert analyzer.count(meta, input="4", batch=8).totals.macs == 8 * 4 * 2


def test_errors_name_arguments_of_python(tmp_path):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    for model, arguments, words in (
        (torch.nn.Conv2d(3, 4, 3), {}, "Conv2d needs an input: give args, or input='3x224x224'"),
        (torch.nn.Conv2d(3, 4, 3), {"args": (1, 3, 8, 8)}, "give input='1x3x8x8'"),
        (torch.nn.Conv2d(3, 4, 3), {"input": "5x8x8"}, "does not run on 1x5x8x8 float32: .*; give args, or input="),
        (torch.nn.Conv2d(3, 4, 3), {"input": "2x3x8x8", "batch": 4}, r"a batch: give input='3x8x8', batch=2$"),
        ("googlenet", {"input": "4x3x224x224", "batch": 2}, r"without the batch, here input='3x224x224', batch=4$"),
        (f"{tmp_path / 'net.py'}:Net", {}, "needs an input: give input='128:int64'"),
    ):
        with pytest.raises(AnalyzerError, match=words) as error:
            analyzer.count(model, **arguments)
        assert "--" not in str(error.value)


def test_compare_takes_modules_records_and_names():
    small, large = torch.nn.Linear(64, 8), torch.nn.Linear(64, 16)
    record = analyzer.count(small, input="64", batch=4)
    comparison = analyzer.compare(small, large, record, input="64")
    assert comparison.labels == ("Linear (batch 1) #1", "Linear (batch 1) #2", "Linear (batch 4)")
    assert [totals.macs for totals in comparison.modules["total"]] == [64 * 8, 64 * 16, 4 * 64 * 8]
    assert "Linear (batch 4)" in str(comparison)
    mixed = analyzer.compare("nin", record)
    assert mixed.labels == ("nin", "Linear")
    by_tensor = analyzer.compare(small, large, args=torch.zeros(2, 64))
    assert [totals.macs for totals in by_tensor.modules["total"]] == [2 * 64 * 8, 2 * 64 * 16]
    modes = analyzer.compare(analyzer.count("nin"), analyzer.count("nin", train=True))
    assert modes.labels == ("nin (inference)", "nin (training)")
    with pytest.raises(AnalyzerError, match="nin is given twice"):
        analyzer.compare("nin", "nin")


def test_compare_counts_a_name_at_the_input_of_a_record_or_of_args():
    def inputs(*models, **arguments):
        return [record.input for record in analyzer.compare(*models, **arguments).records]

    record, net = analyzer.count("nin", input="3x192x192", batch=8), torch.nn.Conv2d(3, 4, 3)
    assert inputs("nin", record, net) == [((8, 3, 192, 192),)] * 3
    assert inputs("nin", net, args=torch.zeros(2, 3, 256, 256)) == [((2, 3, 256, 256),)] * 2
    assert inputs(record, "nin", batch=1) == [((8, 3, 192, 192),), ((1, 3, 192, 192),)]
    assert inputs(record, "nin", input="3x224x224") == [((8, 3, 192, 192),), ((1, 3, 224, 224),)]
    training = analyzer.compare(analyzer.count("nin", train=True), "nin")
    assert training.totals["step_macs"].ratio == 1
    with pytest.raises(AnalyzerError, match="Linear does not run on 8x3x192x192"):
        analyzer.compare(record, torch.nn.Linear(5, 2))


def test_compare_counts_a_name_that_does_not_take_that_input_at_its_own_one_and_says_so():
    record = analyzer.count(torch.nn.Linear(64, 8), input="64", batch=4)
    comparison = analyzer.compare(record, "nin")
    assert comparison.records[1].input == ((4, 3, 224, 224),)
    assert "inputs differ: 4x64, 4x3x224x224" in comparison.table().tables[0].title
    # At 32x32 the first linear layer of VGG-16 has 512 inputs instead of 25,088.
    small = analyzer.count(torch.nn.Conv2d(3, 8, 3), input="3x32x32", batch=4)
    assert analyzer.compare(small, "vgg16").records[1].input == ((4, 3, 224, 224),)
    same = analyzer.compare(analyzer.count("vgg16", input="3x32x32", batch=4), "vgg16")
    assert same.records[0].input == same.records[1].input


def test_an_input_that_does_not_fit_has_the_models_line_and_no_chained_traceback(tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\n\nclass Net(torch.nn.Conv2d):\n    def forward(self, x):\n        return super().forward(x)\n"
    )
    for model in (torch.nn.Conv2d(3, 8, 3), f"{tmp_path}/net.py:Net(3, 8, 3)"):
        with pytest.raises(AnalyzerError, match="expected input") as caught:
            analyzer.count(model, input="5x32x32")
        shown = "".join(traceback.format_exception(caught.value))
        assert shown.count("Traceback") == 1
        assert (f"{tmp_path}/net.py:5 in forward" in shown) == isinstance(model, str)


def test_a_tensor_is_the_only_input_not_a_sequence_of_inputs():
    from torch import nn

    assert analyzer.count(nn.Conv2d(3, 4, 3), torch.zeros(2, 3, 8, 8)).totals.macs == 2 * 6 * 6 * 4 * 27


def test_arguments_of_a_wrong_type_are_named():
    from torch import nn

    with pytest.raises(AnalyzerError, match=r"\bint\b.*nn.Module"):
        analyzer.count(42)
    with pytest.raises(AnalyzerError, match=r"kwargs.*\bint\b.*dict"):
        analyzer.count(nn.Identity(), (), 5)
    with pytest.raises(AnalyzerError, match=r"type Identity.*name or a reference"):
        analyzer.scale(nn.Identity())
