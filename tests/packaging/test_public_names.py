"""The public names of `analyzer`: documented, exported, and known to type checkers, which find a misspelled name."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys

import pytest

import analyzer

SCRIPT = """
from pathlib import Path

import torch
from torch import Tensor, nn

import analyzer

net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
x = torch.zeros(1, 3, 32, 32)
setup = analyzer.TrainingSetup("adamw", "bf16-mixed", devices=8)
record: analyzer.Record = analyzer.count(net, x)
record = analyzer.count(net, (x,), {}, train=True, memory=setup)
record = analyzer.count(net, input="3x32x32", batch=2)
record = analyzer.count("googlenet", input=(3, 64, 64), overrides={"conv1.out": 32}, verify=True, counter="dispatch")
record = analyzer.measure("googlenet", input=["3x64x64"], batch=8, budget_s=1.0)
count: analyzer.Count = record.count
rows: tuple[analyzer.Row, ...] = record.rows
modules: tuple[analyzer.Module, ...] = record.modules
totals: analyzer.Totals = record.totals
agreement: analyzer.Agreement | None = record.agreement
memory: analyzer.Memory | None = record.memory
parts: tuple[analyzer.ModuleMemory, ...] = memory.modules if memory else ()
measurement: analyzer.Measurement | None = record.measurement
if measurement:
    timings: tuple[analyzer.Timing, ...] = measurement.timings
    configuration: analyzer.Configuration = measurement.configuration
view: analyzer.View = record.table(depth=2, sort="macs", by="type", top=5)
print(record, view, record.to_json(), record.frame(), record.figure("compute"))
record.save(Path("record.json"))
loaded: analyzer.Record = analyzer.load("record.json")
several: tuple[analyzer.Record, ...] = analyzer.load_all(Path("record.json"))
comparison: analyzer.Comparison = analyzer.compare(net, record, "nin", input="3x32x32")
compared: analyzer.ComparedMetric = comparison.totals["macs"]
print(comparison.table(metric="params"), comparison.figure("params"), comparison.frame())
parameters: analyzer.Parameters = analyzer.params(net)
first: analyzer.ModuleParameters = parameters.modules[0]
print(parameters.table(depth=2), parameters.frame())
scaling: analyzer.Scaling = analyzer.scale("nin", over="batch,height=width")
more_macs: int = scaling.at(batch=8, height=320) - scaling.at(batch=1, metric="macs")
print(scaling.formula("macs"), scaling.polynomial().text(), scaling.frame(batch=[1, 8], height="224..448:x2"))
results: analyzer.History = analyzer.history("results.sqlite")
print(results.frame(where='model ~ "inception*" and batch == 8'), len(results.records('device == "cuda"')))
swept = analyzer.sweep({"models": ["nin"], "batch": "1..8:x2"}, cluster="local:2", store="results.sqlite", resume=True)
print(swept["macs"].max())
googlenet: nn.Module = analyzer.build("googlenet", train=True)
outputs: analyzer.Outputs = googlenet(x)
loss: Tensor = analyzer.auxiliary_loss(outputs, torch.zeros(1, dtype=torch.int64))
state: dict[str, Tensor] = analyzer.drop_auxiliary(googlenet.state_dict())


def formula(call: analyzer.Call) -> analyzer.Work:
    return analyzer.Work(macs=call.outputs[0][0])


analyzer.register("mylib::op", formula)
try:
    analyzer.count("nim")
except (analyzer.CannotMeasure, analyzer.InputError, analyzer.AnalyzerError) as error:
    print(error, analyzer.__version__)
"""


# Without a cache: writing that of torch takes longer than a check saves in a folder of its own.
MYPY = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=/dev/null", "script.py")
PYRIGHT = ("pyright", "--pythonpath", sys.executable, "script.py")


@pytest.mark.slow
@pytest.mark.parametrize("checker", [MYPY, PYRIGHT], ids=["mypy", "pyright"])
def test_a_type_checker_accepts_every_public_name_and_no_other(checker, tmp_path):
    """pyright runs where it is installed, as in CI; it needs node."""
    if not shutil.which(checker[0]):
        pytest.skip(f"{checker[0]} is not installed")
    wrong = 'analyzer.cuont("nin")\nanalyzer.count(input=3)\nrecord.table(by="layer")\n'
    (tmp_path / "script.py").write_text(SCRIPT + wrong, encoding="utf-8")
    done = subprocess.run(checker, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = SCRIPT.count("\n")
    errors = {int(line) - lines for line in re.findall(r"script\.py:(\d+):.*error: ", done.stdout)}
    assert errors == {1, 2, 3}, done.stdout + done.stderr
    assert "cuont" in done.stdout


def test_the_script_uses_every_public_name():
    assert [name for name in analyzer.__all__ if f"analyzer.{name}" not in SCRIPT] == []


@pytest.mark.parametrize("name", analyzer.__all__)
def test_every_public_name_is_documented(name):
    value = getattr(analyzer, name)
    assert inspect.getdoc(value)
    if inspect.isfunction(value):
        assert ">>>" in inspect.getdoc(value)
        assert "return" in value.__annotations__


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert analyzer.__version__ == version("macscope")
    assert "__version__" in dir(analyzer)
