"""`--model REF` and `--input` on the command line, and the errors for references that do not load or run."""

from __future__ import annotations

import json
import os
import resource
import sys

import pytest
import torch

import analyzer
from analyzer.models.zero_inputs import zeros

NET = '''
import torch
from torch import nn

print("noise from the model")


class Net(nn.Module):
    """Two inputs of different kinds."""

    def __init__(self, width=4):
        super().__init__()
        self.embed = nn.Embedding(11, width)
        self.head = nn.Linear(width, 3)

    def forward(self, ids, mask=None):
        hidden = self.embed(ids)
        return self.head(hidden if mask is None else hidden * mask.unsqueeze(-1))


class Normed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)

    def forward(self, x):
        return self.conv(x)


class Branching(Plain):
    def forward(self, x):
        return self.conv(x) if x.sum().item() >= 0 else x


class Positions(nn.Module):
    def forward(self, x):
        return x + torch.arange(x.shape[-1])


class Silent(nn.Module):
    pass


def factory():
    return Plain()


def Plain_inputs():
    return (torch.zeros(2, 3, 8, 8),), {}


class Batched(Plain):
    pass


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.weight = nn.Parameter(torch.randn(5, 3, 1, 1))

    def forward(self, x):
        return torch.nn.functional.conv2d(self.conv(x), self.weight)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(x)


def Batched_inputs(batch):
    return torch.zeros(batch, 3, 8, 8)


def broken():
    raise ValueError("no luck\\nsecond line")


instance = Plain()
number = 5
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "bad.py").write_text("import torch\nimport no_such_module\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def counted(analyze, folder):
    def read(*arguments):
        outcome = analyze(*arguments, "--format", "json")
        assert outcome.status == 0, outcome.err
        (record,) = json.loads(outcome.out)["records"]
        return record

    return read


CONV = 5 * 6 * 6 * 3 * 9


def test_a_modules_own_operators_have_a_row(analyze, folder):
    """8 x 8 x 3 x 3 multiply-adds in the child, 8 x 8 x 5 x 3 with the module's weight: 576 and 960 of 1,536."""
    shown = analyze("--model", "net.py:Nested", "--input", "3x8x8", "--depth", "2").out
    lines = [line.split() for line in shown.splitlines()[3:6]]
    assert [line[0] for line in lines] == ["block", "(own", "conv"]
    assert lines[0][4:6] == ["1.536", "k"]
    assert lines[1][3:7] == ["15", "960", "62.5", "%"]
    assert "576" in lines[2]
    assert "(own forward)" not in analyze("--model", "net.py:Nested", "--input", "3x8x8", "--depth", "1").out


def test_an_inputs_function_may_take_the_batch(analyze, counted):
    """--batch is refused for an inputs function without parameter: the counts would be for another batch."""
    assert counted("--model", "net.py:Batched", "--batch", "5")["input"] == [[5, 3, 8, 8]]
    assert counted("--model", "net.py:Plain")["input"] == [[2, 3, 8, 8]]
    assert counted("--model", "net.py:Plain", "--input", "3x8x8", "--batch", "5")["input"] == [[5, 3, 8, 8]]
    refused = analyze("--model", "net.py:Plain", "--batch", "5")
    assert refused.status == 2
    assert "write Plain_inputs(batch)" in refused.err


@pytest.mark.parametrize("name", ["Plain", "factory", "instance"])
def test_a_class_a_factory_and_an_instance(counted, name):
    record = counted("--model", f"net.py:{name}", "--input", "3x8x8")
    assert record["model"] == f"net.py:{name}"
    assert (record["mode"], record["counter"]) == ("inference", "dispatch")
    assert record["totals"]["macs"] == CONV
    assert record["rows"][0]["path"] == "conv"


def test_default_inputs_and_a_batch(counted):
    assert counted("--model", "net.py:Plain")["input"] == [[2, 3, 8, 8]]
    assert counted("--model", "net.py:Plain", "--input", "3x8x8", "--batch", "7")["totals"]["macs"] == 7 * CONV


def test_named_and_typed_inputs(counted):
    record = counted("--model", "net.py:Net", "--input", "ids=6:int64", "--input", "mask=!2x6:bool", "--batch", "2")
    assert record["input"] == [[2, 6], [2, 6]]
    assert record["totals"]["macs"] == 2 * 6 * 4 * 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives memory when it is used")
def test_a_large_batch_takes_no_memory_for_its_input(counted):
    """200,000 images of 600 kB: 120 GB of zeros that a count on meta does not read."""
    record = counted("--model", "net.py:Plain", "--input", "3x224x224", "--batch", "200000", "--memory")
    assert record["memory"]["inputs"] == 4 * 200_000 * 3 * 224 * 224
    assert record["totals"]["macs"] == 200_000 * 5 * 222 * 222 * 3 * 9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 40 * 2**30


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_zeros_are_ordinary_tensors(dtype):
    for shape in ((0, 3), (), (2, 3), (3, 1024, 1025)):
        tensor = zeros(*shape, dtype=dtype)
        assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == (shape, dtype, True)
        assert not tensor.any()
        tensor.fill_(1)
        assert tensor.all()


def test_training_adds_the_backward_pass(counted):
    record = counted("--model", "net.py:Plain", "--input", "3x8x8", "--train")
    assert (record["mode"], record["totals"]["backward_macs"]) == ("training", CONV)


def test_a_changed_file_is_compiled_again(tmp_path, monkeypatch):
    """Two contents with the same size and time, which Python's cache of compiled files does not distinguish."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "changing.py"
    macs = []
    for size in (4, 8):
        path.write_text(f"from torch import nn\n\n\ndef net():\n    return nn.Linear(4, {size})\n", encoding="utf-8")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        macs.append(analyzer.count(f"{path}:net", input="4").count.totals.macs)
    assert macs == [4 * 4, 4 * 8]
    assert [path.name for path in tmp_path.iterdir()] == ["changing.py"]  # No __pycache__.


def test_a_package_is_imported_from_the_current_folder(counted, folder):
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "package" / "model.py").write_text(NET, encoding="utf-8")
    assert counted("--model", "package.model:factory", "--input", "3x8x8")["totals"]["macs"] == CONV


def test_a_model_and_a_variant(analyze, folder):
    outcome = analyze("--variant", "nin", "--model", "net.py:Plain", "--input", "3x224x224", "--format", "json")
    assert [record["model"] for record in json.loads(outcome.out)["records"]] == ["nin", "net.py:Plain"]


def test_a_model_that_needs_values_is_counted_with_a_note(analyze, folder):
    outcome = analyze("--model", "net.py:Branching", "--input", "3x8x8")
    assert outcome.status == 0
    assert "counted on meta with the values of the inputs: on meta it raised" in outcome.err
    outcome = analyze("--model", "net.py:Positions", "--input", "8")
    assert outcome.status == 0
    assert "real tensors" not in outcome.err, "a tensor made in forward is made on meta too"


BAD = {
    "a factory that raises": (["net.py:broken"], "net.py:broken raised ValueError: no luck"),
    "a file that does not import": (
        ["bad.py:Net"],
        "bad.py:Net raised ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "no such file": (["gone.py:Net"], "no file gone.py; wanted FILE.py, FILE.py:NAME"),
    "a folder": (["sub.py"], "sub.py is a folder; wanted FILE.py"),
    "a link without a target": (["link.py:Net"], "link.py is a link to a file that does not exist; wanted FILE.py"),
    "a pipe": (["pipe.pt2"], "pipe.pt2 is a device, socket or pipe; wanted FILE.py"),
    "no Python file": (["./sub/../net.pyy:Net"], "./sub/../net.pyy is not a Python file; wanted FILE.py, FILE.py:NAME"),
    "no such name": (["net.py:Nat"], "net.py has no 'Nat'; nearest: Net"),
    "no such module": (["no_such_package:Net"], "no module 'no_such_package'"),
    "not a module": (["net.py:number"], "net.py:number is a int; wanted an nn.Module"),
    "no forward": (["net.py:Silent", "--input", "3"], "Silent has no forward to count"),
    "the wrong rank": (
        ["net.py:Plain", "--input", "8"],
        "Plain does not run on 1x8 float32: RuntimeError: Expect",
    ),
    "one value per channel": (["net.py:Normed", "--input", "3x8x8", "--train"], "so use --batch 2"),
    "no input": (["net.py:Branching", "--input", "q=3"], "Branching does not run on q=1x3 float32"),
    "an unknown form": (["something"], "unknown model 'something'; "),
    "no such exported program": (["gone.pt2"], "no file gone.pt2"),
    "an unknown type": (["net.py:Net", "--input", "ids=3:int65"], "unknown type; known: float32"),
    "verification": (["net.py:Plain", "--verify"], "--verify needs a closed form"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(analyze, folder, name):
    (folder / "sub.py").mkdir()
    (folder / "link.py").symlink_to("link.py")
    os.mkfifo(folder / "pipe.pt2")
    arguments, text = BAD[name]
    outcome = analyze("--model", *arguments)
    lines = [line for line in outcome.err.splitlines() if line != "noise from the model"]
    assert (outcome.status, outcome.out) == (2, "")
    assert lines[0].startswith("analyze: ")
    assert text in lines[0]
    # Further lines are frames of the user's code.
    assert all(line.startswith("  ") and "analyzer" not in line for line in lines[1:])


def test_an_absent_library_names_the_extra(analyze, folder):
    pytest.importorskip("torch")
    for library in ("torchvision", "timm", "transformers"):
        try:
            __import__(library)
        except ImportError:
            scheme = {"transformers": "hf"}.get(library, library)
            outcome = analyze("--model", f"{scheme}:anything")
            assert outcome.status == 2
            assert f"{library} does not import here" in outcome.err
            assert "pip install '.[zoo]'" in outcome.err


def test_unknown_operators_fail_under_strict(analyze, folder):
    (folder / "odd.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "@torch.library.custom_op('macscope_odd::op', mutates_args=())\n"
        "def op(x: torch.Tensor) -> torch.Tensor:\n    return x.clone()\n\n\n"
        "@op.register_fake\ndef _(x):\n    return torch.empty_like(x)\n\n\n"
        "class Odd(nn.Module):\n    def forward(self, x):\n        return op(x) + op(x)\n",
        encoding="utf-8",
    )
    arguments = ("--model", "odd.py:Odd", "--input", "7", "--format", "json")
    lenient = analyze(*arguments)
    assert lenient.status == 0
    assert json.loads(lenient.out)["records"][0]["unknown_ops"] == {"macscope_odd::op": 2}
    strict = analyze(*arguments, "--strict")
    assert (strict.status, json.loads(strict.out)["status"]) == (1, "failed")
