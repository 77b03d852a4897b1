"""Loading references: file names, inputs functions, errors in user code, and exported programs without unpickling."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import re
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, UnknownModel
from analyzer.core.parse_inputs import parse_input
from analyzer.models.references import resolve
from tests.torch_releases import UNFLATTENS_SEQUENTIAL

CONV = 5 * 6 * 6 * 3 * 9


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder. Modules and search paths that a test adds are removed after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def layer(width: int, extra: str = "") -> str:
    return (
        f"{extra}\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        f"        super().__init__()\n        self.layer = nn.Linear(7, {width})\n\n"
        "    def forward(self, x):\n        return self.layer(x)\n"
    )


def outputs(reference: str) -> int:
    """The width of the model's layer."""
    return resolve(reference, [parse_input("7")]).model.layer.out_features


# --- files -----------------------------------------------------------------------------------------------------------
def test_two_files_of_one_name(folder):
    written(folder / "a" / "net.py", layer(3))
    written(folder / "b" / "net.py", layer(5))
    assert [outputs(f"{name}/net.py:Net") for name in "abab"] == [3, 5, 3, 5]


@pytest.mark.parametrize("name", ["random", "json", "torch", "analyzer", "numpy"])
def test_a_file_with_the_name_of_an_imported_module(folder, name):
    before = sys.modules[name] if name in sys.modules else __import__(name)
    written(folder / f"{name}.py", layer(3))
    assert outputs(f"{name}.py:Net") == 3
    assert sys.modules[name] is before


def test_a_file_can_import_its_neighbors_on_import_and_later(folder):
    written(folder / "model" / "neighbor_first.py", "WIDTH = 3\n")
    written(folder / "model" / "neighbor_later.py", "WIDTH = 4\n")
    late = layer(3, "from neighbor_first import WIDTH").replace("nn.Linear(7, 3)", "nn.Linear(7, WIDTH + LATER)")
    late = late.replace("super().__init__()", "super().__init__()\n        from neighbor_later import WIDTH as LATER")
    written(folder / "model" / "net.py", late)
    assert outputs("model/net.py:Net") == 3 + 4


def test_a_dataclass_in_a_file_finds_its_module(folder):
    text = "from __future__ import annotations\nimport dataclasses\n"
    text += layer(3) + "\n\n@dataclasses.dataclass\nclass Settings:\n    width: int = 3\n"
    written(folder / "net.py", text)
    assert outputs("net.py:Net") == 3


def test_a_name_inside_a_class(folder):
    written(folder / "net.py", layer(3) + "\n\nclass Zoo:\n    small = Net\n    ready = Net()\n")
    assert (outputs("net.py:Zoo.small"), outputs("net.py:Zoo.ready")) == (3, 3)


INPUTS = {
    "args and kwargs": ("return (torch.zeros(2, 7),), {'mask': None}", 1, {"mask"}),
    "a tuple of args": ("return torch.zeros(2, 7), None", 2, set()),
    "a dict of kwargs": ("return {'x': torch.zeros(2, 7)}", 0, {"x"}),
    "one tensor": ("return torch.zeros(2, 7)", 1, set()),
    "a list": ("return [torch.zeros(2, 7)]", 1, set()),
}


@pytest.mark.parametrize("function", ["Net_inputs", "inputs"])
@pytest.mark.parametrize("name", INPUTS)
def test_an_inputs_function_gives_the_inputs(folder, name, function):
    body, count, names = INPUTS[name]
    text = layer(3, "import torch").replace("(self, x)", "(self, x, mask=None)")
    written(folder / "net.py", f"{text}\n\ndef {function}():\n    {body}\n")
    loaded = resolve("net.py:Net")
    assert (len(loaded.args), set(loaded.kwargs)) == (count, names)


def test_inputs_of_the_command_line_have_precedence(folder):
    written(folder / "net.py", layer(3) + "\n\ndef inputs():\n    raise AssertionError('asked')\n")
    loaded = resolve("net.py:Net", [parse_input("5x7"), parse_input("mask=!3:bool")], batch=2)
    assert [tuple(value.shape) for value in loaded.args] == [(2, 5, 7)]
    assert (tuple(loaded.kwargs["mask"].shape), loaded.kwargs["mask"].dtype) == ((3,), torch.bool)


def test_an_inputs_function_of_the_wrong_type(folder):
    written(folder / "net.py", layer(3) + "\n\ndef inputs():\n    return 'x'\n")
    with pytest.raises(AnalyzerError, match=r"the inputs of net.py:Net are a str; wanted \(args, kwargs\)"):
        resolve("net.py:Net")


@pytest.mark.parametrize("body", ["raise SystemExit(5)", "import sys; sys.exit('enough')", "raise KeyError('k')"])
@pytest.mark.parametrize("where", ["on import", "in a factory", "in the inputs"])
def test_code_that_raises_or_exits_gives_one_line_and_frames(analyze, folder, body, where):
    """SystemExit too must not end the command with status 0."""
    name = {"on import": "Net", "in a factory": "make", "in the inputs": "Net"}[where]
    text = layer(3, body if where == "on import" else "")
    text += f"\n\ndef make():\n    {body}\n" if where == "in a factory" else ""
    text += f"\n\ndef inputs():\n    {body}\n" if where == "in the inputs" else ""
    written(folder / "net.py", text)
    outcome = analyze("--model", f"net.py:{name}")
    first, *frames = outcome.err.splitlines()
    # A call of exit is not bad input: the model ended its process.
    assert (outcome.status, outcome.out) == (2 if "KeyError" in body else 3, "")
    assert first.startswith(f"analyze: net.py:{name} raised ")
    assert len(frames) == 1
    assert f"{folder / 'net.py'}:" in frames[0]
    assert body in frames[0]


# --- other packages --------------------------------------------------------------------------------------------------
def test_the_entry_point_of_another_package(folder, monkeypatch):
    written(folder / "their_models.py", layer(3))
    monkeypatch.syspath_prepend(str(folder))
    point = EntryPoint("their-net", "their_models:Net", "analyzer.models")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == point.group else [])
    assert outputs("their-net") == 3
    with pytest.raises(UnknownModel, match="unknown model 'their-nett'; nearest: their-net"):
        outputs("their-nett")


# --- exported programs -----------------------------------------------------------------------------------------------
class Attack:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("attacked"),))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 6 * 6, 2)).eval()
    torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 8, 8),)), path)
    return path


def changed(program: Path, target: Path, part: str, data: bytes) -> Path:
    """The program with one part of its archive, a regular expression, replaced."""
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        assert any(re.search(part, name) for name in old.namelist())
        for name in old.namelist():
            new.writestr(name, data if re.search(part, name) else old.read(name))
    return target


@UNFLATTENS_SEQUENTIAL
def test_an_exported_program_has_its_modules_again(program, analyze):
    outcome = analyze("--model", str(program), "--format", "json", "--train")
    (record,) = json.loads(outcome.out)["records"]
    assert [(row["path"], row["op"], row["macs"]) for row in record["rows"] if row["macs"]] == [
        ("0", "conv2d", CONV),
        ("3", "linear", 5 * 6 * 6 * 2),
    ]
    assert record["totals"]["params"] == 5 * 3 * 9 + 5 + 5 * 6 * 6 * 2 + 2


def test_nothing_in_an_exported_program_is_unpickled(program, folder, analyze):
    """torch.export.load unpickles example inputs that are not plain tensors."""
    buffer = io.BytesIO()
    torch.save(Attack(), buffer)
    path = changed(program, folder / "attack.pt2", "sample_inputs|example_inputs", buffer.getvalue())
    outcome = analyze("--model", str(path))
    assert not (folder / "attacked").exists()
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert "attack.pt2 cannot be read as a torch.export program by this torch version (UnpicklingError: " in outcome.err
    assert pickle.loads(pickle.dumps([1])) == [1], "pickle is restored"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    assert logging.root.manager.disable == 0


def test_unpickling_the_attack_makes_a_file(folder):
    """Without this the other tests would prove nothing."""
    pickle.loads(pickle.dumps(Attack()))
    assert (folder / "attacked").exists()


def pickled_constant(program: Path, target: Path, name: str) -> Path:
    """The program with one more constant, marked as pickled in its archive."""
    kind = {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
    buffer = io.BytesIO()
    if name.startswith("opaque"):
        pickle.dump(Attack(), buffer)
    else:
        torch.save(Attack(), buffer)
    if not any("model_constants_config" in part for part in zipfile.ZipFile(program).namelist()):  # Up to torch 2.8.
        return changed(program, target, r"serialized_constants|data/constants/model\.pt", buffer.getvalue())
    path = changed(program, target, "model_constants_config", json.dumps({"config": {"x": kind}}).encode())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{program.stem}/data/constants/{name}", buffer.getvalue())
    return path


@pytest.mark.parametrize("name", ["tensor_0", "opaque_obj_0"])
def test_a_constant_that_is_pickled_is_refused(program, folder, analyze, name):
    path = pickled_constant(program, folder / "attack.pt2", name)
    outcome = analyze("--model", str(path))
    assert not (folder / "attacked").exists()
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("size", [0, 1, 100, 700, -1, -100])
def test_truncated_programs_are_one_line(program, folder, analyze, size):
    """torch logs a traceback before it raises for some of them."""
    (folder / "half.pt2").write_bytes(program.read_bytes()[:size])
    outcome = analyze("--model", "half.pt2")
    assert (outcome.status, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("analyze: half.pt2 cannot be read as a torch.export program by this torch version (")


def test_a_pickled_module_is_no_program(folder, analyze):
    torch.save(Attack(), folder / "pickled.pt2")
    outcome = analyze("--model", "pickled.pt2")
    assert not (folder / "attacked").exists()
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
