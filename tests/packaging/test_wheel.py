"""The wheel: its files and metadata, and that it works when installed into a new environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PACKAGES = ("analyzer", "reports")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The standard output of a command that must succeed, run without this process's Python settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The `bin` folder of an environment with the wheel; its dependencies come from the running environment."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"),
        *("install", "--no-deps", "--no-index", wheel),
        cwd=home,
    )
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    # Folders in a .pth file are searched last, and .pth files in them are ignored, so an editable install stays hidden.
    folders = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join([*folders, ""]))
    return python.parent


def test_the_top_level_has_our_packages_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    assert {name.split("/")[0] for name in names} == {*PACKAGES, "macscope.py", "macscope_pytest.py", info}
    assert info.startswith("macscope-")
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    """Templates and data included."""
    tree = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"__pycache__", "plugin"} & set(path.parts)  # The plugin is at the top level.
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.split("/")[0] in PACKAGES}
    assert packed == tree


def test_metadata(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "analyze = macscope:main" in texts["entry_points.txt"].splitlines()
    metadata = message_from_string(texts["METADATA"])
    assert (metadata["Name"], metadata["Requires-Python"]) == ("macscope", ">=3.11")
    assert metadata["License-Expression"] == "Apache-2.0 AND MIT"
    assert "Apache License" in texts["LICENSE"]
    needed = {line.split(";")[0].split(">")[0] for line in metadata.get_all("Requires-Dist") if "extra" not in line}
    assert needed == set("torch fvcore pandas plotly click rich jinja2 numpy scipy sqlalchemy alembic".split())


def test_typed_metadata_implies_py_typed(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert "Typing :: Typed" not in metadata or "analyzer/py.typed" in archive.namelist()


def test_the_installed_command_counts(installed, tmp_path, analyze):
    module = run(installed / "python", "-c", "import analyzer; print(analyzer.__file__)", cwd=tmp_path).strip()
    assert Path(module).is_relative_to(installed.parent), "imported from the wheel, not from this checkout"
    printed = run(installed / "analyze", "--variant", "googlenet", "--format", "json", cwd=tmp_path)
    assert printed == analyze("--variant", "googlenet", "--format", "json").out
    (record,) = json.loads(printed)["records"]
    assert (record["totals"]["params"], record["totals"]["macs"]) == (6_998_552, 1_582_671_872)


def test_the_installed_command_lists_networks_and_shows_its_version(installed, tmp_path):
    assert "googlenet-naive" in run(installed / "analyze", "list", cwd=tmp_path)
    assert " (commit unknown, torch " in run(installed / "analyze", "--version", cwd=tmp_path)


def test_the_installed_command_verifies(installed, tmp_path):
    run(installed / "analyze", "--variant", "nin", "--input", "3x64x64", "--verify", cwd=tmp_path)


@pytest.mark.parametrize(
    ("layout", "statement"),
    [
        ("analyzer.py", "import analyzer; value = analyzer.value"),
        ("analyzer/part.py", "from analyzer.part import value"),
        ("reports.py", "from reports import value"),
        ("reports/__init__.py", "import reports as own; value = own.value"),
    ],
)
@pytest.mark.parametrize("path", ["", "."])
def test_analyze_runs_a_model_that_imports_its_own_analyzer_or_reports(installed, tmp_path, layout, statement, path):
    (tmp_path / layout).parent.mkdir(exist_ok=True)
    (tmp_path / layout).write_text("value = 7\n")
    model = f"from torch import nn\n{statement}\n\nclass Net(nn.Linear):\n"
    model += "    def __init__(self):\n        super().__init__(value, 2)\n\n"
    model += f"    def forward(self, x):\n        {statement}\n        return super().forward(x[:, :value])\n"
    (tmp_path / "net.py").write_text(model)
    program = [installed / "python", "-m", "macscope"] if layout == "analyzer.py" else [installed / "analyze"]
    printed = run(*program, "net.py", "--input", "7", "--format", "json", cwd=tmp_path, PYTHONPATH=path)
    assert json.loads(printed)["records"][0]["totals"]["macs"] == 7 * 2


@pytest.mark.parametrize("layout", ["analyzer.py", "analyzer/__init__.py", "reports.py", "src/analyzer/__init__.py"])
def test_pytest_runs_in_a_project_with_its_own_analyzer_or_reports(installed, tmp_path, layout):
    module = tmp_path / layout
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text("value = 7\n")
    name = "reports" if "reports" in layout else "analyzer"
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = [".", "src"]\n')
    (tmp_path / "test_own.py").write_text(f"import {name}\n\ndef test_own():\n    assert {name}.value == 7\n")
    command = (installed / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "1 passed" in run(*command, cwd=tmp_path)
    if name == "analyzer":
        refused = subprocess.run(
            [*command, "--analyze-check", "base.json"], cwd=tmp_path, capture_output=True, text=True
        )
        assert (refused.returncode, "own analyzer or reports" in refused.stderr) == (4, True)
