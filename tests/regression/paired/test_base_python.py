"""`analyze check --base-python`: the base has other packages."""

from __future__ import annotations

import json
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.regression.paired.conftest import NET

# Eight times the layers if the environment has this package; only the base's has it.
SOURCE = "try:\n    from extra_package import LAYERS\nexcept ImportError:\n    LAYERS = 2\n" + NET.format(
    layers="LAYERS"
)


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """A virtual environment with the packages of this one and an additional package."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / name / "site-packages"
    shared = sysconfig.get_paths()["purelib"]
    (packages / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n", encoding="utf-8")
    (packages / "extra_package.py").write_text("LAYERS = 16\n", encoding="utf-8")
    return folder / "bin" / "python"


@pytest.mark.slow
def test_each_side_has_the_packages_of_its_python(tmp_path, project, analyze, other_python):
    project("")
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    done = analyze(
        "check", "--base-python", str(other_python), "--model", "net.py:Net", "--time-budget", "300", "--format", "json"
    )
    assert done.status == 0, done.err
    data = json.loads(done.out)
    assert data["base"] == f"this tree under {other_python}"
    (change,) = data["changes"]
    assert change["outcome"] == "improved"
    assert change["ratio"] < 1 / 3
