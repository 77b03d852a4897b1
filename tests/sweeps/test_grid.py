"""The configurations of a grid, its file, and the keys of configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.code_hashes import source_of
from analyzer.sweeps.grid import cases
from analyzer.sweeps.grid_file import parse_grid, read_toml
from analyzer.sweeps.keys import case_key, grid_key, result_key

NET = "import torch\nNet = lambda: torch.nn.Linear(4, {})\n"


def labels(**data) -> list[tuple[str, int]]:
    return [(case.label, case.configuration.batch) for case in cases(parse_grid(data))]


def test_a_grid_is_the_product_of_its_axes():
    data = {"models": ["nin", "alexnet"], "batch": "1..4:x2", "mode": ["inference", "training"]}
    found = cases(parse_grid(data))
    assert len(found) == len({case.label for case in found}) * 3 * 2 == 12
    assert {case.configuration.mode for case in found} == {"inference", "training"}


def test_numbers_of_built_in_networks_vary_in_those_that_have_them():
    ranges = {"inception_4a.reduce_5x5": "8..16:8", "conv1.out": [32, 64]}
    assert [label for label, _ in labels(models=["googlenet", "NiN@conv1.out=96"], set=ranges)] == [
        *(f"googlenet@inception_4a.reduce_5x5={a},conv1.conv.out={b}" for a in (8, 16) for b in (32, 64)),
        "nin@conv1.out=96",
    ]


def test_include_adds_and_exclude_leaves_out():
    exclude = [{"model": "alex*", "batch": [2, 4]}, {"set": {"inception_4a.reduce_5x5": 8}}]
    include = [{"model": "vgg16", "batch": 64}, {"model": "alexnet", "batch": 1}]
    assert labels(
        models=["alexnet", "googlenet"], batch=[1, 2], exclude=exclude, include=include,
        set={"inception_4a.reduce_5x5": [8, 16]},
    ) == [
        ("alexnet", 1),
        ("googlenet@inception_4a.reduce_5x5=16", 1),
        ("googlenet@inception_4a.reduce_5x5=16", 2),
        ("vgg16", 64),
    ]  # fmt: skip


def test_models_have_inputs_and_patterns():
    found = cases(parse_grid({"models": ["googlenet-f*", {"model": "net.py:Net", "input": "8x8"}], "input": "3x64x64"}))
    assert [(case.model, case.inputs) for case in found] == [
        ("googlenet-fc-head", ("3x64x64",)),
        ("net.py:Net", ("8x8",)),
    ]


def test_timed_configurations_have_threads_budget_and_needs():
    data = {"models": ["nin"], "measure": "time,counts", "threads": [1, 2], "budget": 5, "processes": 2,
            "needs": {"gpu": "H100"}}  # fmt: skip
    first, second = cases(parse_grid(data))
    assert (first.configuration.threads, second.configuration.threads) == (1, 2)
    assert (first.budget_s, first.processes, first.needs) == (5.0, 2, {"gpu": "H100"})
    assert first.measure == ("counts", "time")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('models = ["nin"]\nbatches = 1\n', 2, "unknown key 'batches'; nearest: batch"),
        ('models = ["nin"]\n\n[[exclude]]\nbatch = 1\n[[exclude]]\nlayuot = "x"\n', 6, "key 'layuot' in exclude"),
        ('models = [\n  "nin",\n  { model = "net.py", inptu = "8" },\n]\n', 3, "unknown key 'inptu'; nearest: input"),
        ('models = ["nin"]\nbatch = 0\n', 2, "batch is 0"),
        ('models = ["nin"]\nbatch = true\n', 2, "batch is True"),
        ('models = ["nin"]\nbatch = "8..2"\n', 2, "the range '8..2' of grid.toml:2: batch is empty"),
        ('models = ["nin"]\nthreads = 2\n', 2, "threads has no effect on counts"),
        ('models = ["nin"]\nbudget = 2\n', 2, "budget has no effect without times"),
        ('models = ["nin"]\n[needs]\ngpus = "H100"\n', 3, "unknown key 'gpus' in needs; nearest: gpu"),
        ('models = ["nin"]\n[set]\nconv1.out = "x"\n', 3, "malformed value 'x'"),
        ('models = ["nin"]\nmeasure = ["times"]\n', 2, "measure is 'times'; wanted one of counts, memory, time"),
        ('models = ["nin"]\nmode = "eval"\n', 2, "mode is 'eval'; wanted one of inference, training"),
        ('models = ["nin"]\n[[exclude]]\n', 2, "an exclude without keys"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_named_with_its_line(project, text, line, message):
    Path("grid.toml").write_text(text, encoding="utf-8")
    with pytest.raises(AnalyzerError) as raised:
        parse_grid(*read_toml("grid.toml"))
    assert f"grid.toml:{line}: " in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "the grid is empty: give a model"),
        ({"models": ["nin"], "exclude": [{"batch": 1}]}, "exclude leaves nothing"),
        ({"models": ["nin"], "set": {"nope.out": 1}}, "no number 'nope.out' in nin"),
        ({"models": ["net.py"], "set": {"conv1.out": 1}}, "the grid has none"),
        ({"models": ["nin*x"]}, "no built-in network matches"),
        ({"models": ["nin"], "batch": "1..9999", "set": {"conv1.out": "1..9999"}}, "99,980,001 configurations"),
        ({"models": ["googlenet"], "set": {"conv1.out": 1, "conv1.conv.out": 2}}, "set twice"),
    ],
)
def test_a_grid_without_configurations_or_with_too_many_is_refused(data, message):
    with pytest.raises(AnalyzerError, match=message):
        cases(parse_grid(data))


def test_a_key_changes_with_all_that_a_configuration_is(project):
    case = Case("nin")
    others = [
        case.replace(model="alexnet"),
        case.replace(overrides={"conv1.out": 8}),
        case.replace(inputs=("3x64x64",)),
        case.replace(configuration=Configuration(batch=2)),
        case.replace(measure=("counts", "memory")),
        case.replace(needs={"gpu": "H100"}),
    ]
    keys = [case_key(changed, source_of("nin")) for changed in (case, *others)]
    assert len({*keys, case_key(case, "another source")}) == len(keys) + 1
    assert case_key(Case("nin"), source_of("nin")) == keys[0]
    assert result_key("run 1", keys[0]) != result_key("run 2", keys[0])
    assert grid_key([case, others[0]]) == grid_key([others[0], case]) != grid_key([case])


def test_a_source_is_the_network_spec_the_file_or_the_version(project, monkeypatch):
    net = Path("net.py")
    net.write_text(NET.format(8), encoding="utf-8")
    before = source_of("net.py:Net")
    assert before == source_of("net.py") == source_of("net.py:Net(1)")
    Path("package").mkdir()
    Path("package/__init__.py").write_text("raise SystemExit  # Finding a file must not run this.", encoding="utf-8")
    Path("package/models.py").write_text(NET.format(8), encoding="utf-8")
    assert source_of("package.models:Net") == before
    net.write_text(NET.format(16), encoding="utf-8")
    assert source_of("net.py:Net") != before
    assert source_of("nin") != source_of("alexnet")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.2.3")
    assert source_of("timm:resnet50") == "timm==1.2.3"
    assert source_of("no.py") == source_of("no.such:Net") == "missing"


@pytest.mark.parametrize(
    ("line", "imported"),
    [
        ("import helper", "helper.py"),
        ("def late():\n    from helper import size", "helper.py"),
        ("import middle", "helper.py"),
        ("from blocks.conv import Conv", "blocks/conv.py"),
        ("import blocks", "blocks/deep/er.py"),
        ("import folder.part", "folder/part.py"),
    ],
)
def test_a_source_changes_with_the_local_modules_that_a_file_imports(project, line, imported):
    texts = {"middle.py": "import helper\nimport net", "blocks/__init__.py": "", "json/own.py": ""}
    for name, text in {"net.py": line, imported: "", **texts, "folder/part.py": "", "unused.py": ""}.items():
        path = project / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    before = source_of("models/net.py:Net")
    for unchanged in ("unused.py", "json/own.py"):
        Path("models", unchanged).write_text("changed = 1", encoding="utf-8")
    assert source_of("models/net.py:Net") == before
    Path("models", imported).write_text("changed = 1", encoding="utf-8")
    assert source_of("models/net.py:Net") != before


def test_a_source_in_a_package_has_the_modules_of_the_package(project):
    for name in ("package/__init__.py", "package/models.py", "package/layers.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("from .layers import Layer" if "models" in name else "", encoding="utf-8")
    before = source_of("package.models:Net")
    Path("package/layers.py").write_text("changed = 1", encoding="utf-8")
    assert source_of("package.models:Net") != before
