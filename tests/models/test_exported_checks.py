"""Exported programs that would run code when torch reads them are refused; what torch.export.save writes is not."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.models.exported_checks import is_safe_expression, is_safe_target
from tests.torch_releases import needs_torch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Linear(4, 2)

    def forward(self, images, features):
        means = self.conv(images).mean((2, 3))
        means = torch.cat([means, means[: features.shape[0] // 2]])
        return {"logits": self.linear(means).view(-1, 2)}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program with symbolic sizes, so that its archive has expressions, guards and operators on sizes."""
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    sizes = {
        "images": {0: Dim("b", min=1, max=64), 2: Dim("h", min=8, max=1000)},
        "features": {0: Dim("q", min=4, max=8)},
    }
    inputs = torch.zeros(4, 3, 17, 17), torch.zeros(6, 3)
    torch.export.save(torch.export.export(Net(), inputs, dynamic_shapes=sizes), path)
    return path


def rewritten(program, target, change=lambda model: None, **files):
    """A copy of an archive with its program changed and with other files added."""
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(target, "w") as written:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith(("models/model.json", "serialized_exported_program.json")):  # The latter up to torch 2.7.
                model = json.loads(data)
                change(model)
                data = json.dumps(model).encode()
            written.writestr(name, data)
        for name, data in files.items():
            written.writestr(f"net/{name}", data)
    return target


def test_a_program_with_symbolic_sizes_counts(program, tmp_path):
    # conv: 4 images, 4 channels, 9 x 9 outputs, 27 weights each; linear: 4 + 3 rows of 4 x 2.
    assert analyzer.count(str(program)).totals.macs == 4 * 4 * 81 * 27 + 7 * 8
    assert analyzer.count(str(rewritten(program, tmp_path / "same.pt2"))).totals.macs == 4 * 4 * 81 * 27 + 7 * 8


def nodes(model):
    return model["graph_module"]["graph"]["nodes"]


def first(value, key):
    """The first dictionary with a key, however deep."""
    if isinstance(value, dict) and key in value:
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((match for part in parts if (match := first(part, key))), None)


def set_spec(model, context, kind):
    spec = [1, {"type": kind, "context": context, "children_spec": []}]
    model["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps(spec)


FACTORY = {"default_factory_module": "trap", "default_factory_name": "list", "dict_context": []}
ATTACKS = {
    "expression": lambda model: first(model, "expr_str").update(expr_str="__import__('os').system('touch RAN')"),
    "expression in a string": lambda model: first(model, "expr_str").update(
        expr_str='Add(\'__import__("os").system("touch RAN")\')'
    ),
    "function of torch": lambda model: nodes(model)[0].update(
        target="torch.os.system",
        inputs=[{"name": "", "arg": {"as_string": "touch RAN"}, "kind": 1}],
    ),
    "native library": lambda model: nodes(model)[0].update(target="torch.ops.load_library"),
    "class by name": lambda model: nodes(model)[0].update(
        target="torch.ops.export._call_custom_autograd_function_in_pre_dispatch"
    ),
    "name as source": lambda model: first(model["graph_module"]["graph"]["outputs"], "name").update(
        name="x\n    import os; os.system('touch RAN')"
    ),
    "input name as source": lambda model: first(model["graph_module"]["graph"]["inputs"], "name").update(
        name="x=__import__('os').system('touch RAN')"
    ),
    "parameter name as source": lambda model: first(model["graph_module"]["signature"], "parameter_name").update(
        parameter_name='a"), __import__("os").system("touch RAN'
    ),
    "default factory": lambda model: set_spec(model, json.dumps(FACTORY), "collections.defaultdict"),
    "enumeration": lambda model: set_spec(
        model, json.dumps([{"__enum__": True, "fqn": "trap:Kind", "name": "A"}]), "builtins.dict"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_that_could_run_code_is_refused(program, tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.py").write_text("open('RAN', 'w')\n")
    path = rewritten(program, tmp_path / "attack.pt2", ATTACKS[attack])
    with pytest.raises(AnalyzerError, match="could run code"):
        analyzer.count(str(path))
    assert not Path("RAN").exists()


@pytest.mark.parametrize("name", ["data/aotinductor/model/a.so", "data/aotinductor/model/kernel.CUBIN", "extra/a.dll"])
def test_an_archive_with_native_code_is_refused(program, tmp_path, name):
    with pytest.raises(AnalyzerError, match="native code"):
        analyzer.count(str(rewritten(program, tmp_path / "native.pt2", **{name: b""})))


@needs_torch(2, 9, "a program has no guards")
def test_guards_are_not_executed(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guard = "__import__('os').system('touch RAN') or True"
    path = rewritten(program, tmp_path / "guards.pt2", lambda model: model["guards_code"].append(guard))
    assert analyzer.count(str(path)).totals.macs
    assert not Path("RAN").exists()


def test_a_damaged_program_is_one_error(program, tmp_path):
    """Every dictionary of the program loses its keys in turn."""

    def without(model, number, key):
        graph = copy.deepcopy(model["graph_module"])
        parts = [graph, *graph.values()]
        if isinstance(parts[number], dict):
            parts[number].pop(key, None)
        model["graph_module"] = graph

    for number, key in [(0, "graph"), (0, "module_call_graph"), (0, "signature"), (1, "nodes"), (2, "input_specs")]:
        path = rewritten(program, tmp_path / "damaged.pt2", lambda model, at=number, key=key: without(model, at, key))
        with pytest.raises(AnalyzerError, match=r"damaged\.pt2"):
            analyzer.count(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "Add(Mul(Integer(9), FloorDiv(Add(Symbol('s53', positive=True, integer=True), Integer(-1)), Integer(2))))",
        "s0*((s1 - 1)//2) + 1", "s0**2 + 2*s0", "Max(1, u0)", "Pow(Symbol('s0'), Integer(2))", "Pow(s0, Integer(-1))",
        "Float('0.5', precision=53)", "s0 >= 2", "Eq(s0, 4)",
    ],
)  # fmt: skip
def test_expressions_of_sizes_are_safe(text):
    assert is_safe_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "exit()", "(lambda: 0)()", "s0.__class__", "[].append(1)", "().__class__.__bases__", "open('f')", "f'{exit()}'",
        "Symbol('a b')", "Add('exit()')", "9**9**9", "(9**64)**64", "Pow(9, Pow(9, 9))", "LShift(1, 999)",
        "Pow(2, Integer(65))", "10**65", "__builtins__", "[x for x in (1,)]",
        "x if y else z", "(x := 1)", "await x", "*x", "1" * 20_000, "(" * 5_000, "getattr(Add, 'func')", "'a'[0]",
    ],
)  # fmt: skip
def test_other_expressions_are_not(text):
    assert not is_safe_expression(text)


@pytest.mark.parametrize(
    ("target", "safe"),
    [
        ("torch.ops.aten.conv2d.default", True), ("torch.ops.aten.__and__.Tensor", True), ("_operator.floordiv", True),
        ("torch.ops.higher_order.cond", True), ("torch.sym_max", True), ("math.trunc", True),
        ("torch.ops.shop.fused.default", True), ("torch.ops._c10d_functional.all_reduce.default", True),
        ("torch.ops.aten._softmax.default", True), ("torch.os.system", False), ("torch.hub.load", False),
        ("torch.ops.load_library", False), ("torch.ops.load_library.__call__", False), ("torch.load", False),
        ("torch.ops.aten.from_file.default", False), ("_operator.methodcaller", False), ("_operator.__call__", False),
        ("torch.sys.exit", False), ("torch.ops.__class__.mro", False), ("torch.ops.aten.add.__class__", False),
    ],
)  # fmt: skip
def test_targets(target, safe):
    assert is_safe_target(target) is safe


def test_timing_runs_the_program_as_users_do(program):
    """`program.module()` for the pass, the unflattened module for its parts."""
    import torch
    from torch.utils import _pytree as pytree

    from analyzer.records.timings import Configuration
    from analyzer.timing.request import Request
    from analyzer.timing.worker.load_model import load_model

    prepared = load_model(Request(Configuration(), reference=str(program)))
    assert prepared.run_eager is not prepared.run
    assert type(prepared.model) is not type(prepared.eager)
    first, second = pytree.tree_leaves(prepared.run()), pytree.tree_leaves(prepared.run_eager())
    assert len(first) == len(second) > 0
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
