"""`analyze check --base-python`: the base's side has packages of its own."""

from __future__ import annotations

import json
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.regression.paired.conftest import NET

# Eight times the layers where the environment has this package; only the base's has.
SOURCE = "try:\n    from its_own import LAYERS\nexcept ImportError:\n    LAYERS = 2\n" + NET.format(layers="LAYERS")


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """An environment of links that shares the packages of this one and has one more."""
    place = tmp_path / "environment"
    venv.create(place, symlinks=True)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = place / "lib" / name / "site-packages"
    shared = sysconfig.get_paths()["purelib"]
    (packages / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n", encoding="utf-8")
    (packages / "its_own.py").write_text("LAYERS = 16\n", encoding="utf-8")
    return place / "bin" / "python"


def test_each_side_has_the_packages_of_its_own_python(tmp_path, project, analyze, other_python):
    project("")
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    done = analyze(
        "check", "--base-python", str(other_python), "--model", "net.py:Net", "--time-budget", "300", "--format", "json"
    )
    assert done.status == 0, done.err
    data = json.loads(done.out)
    assert data["base"] == f"this tree under {other_python}"
    (verdict,) = data["verdicts"]
    assert verdict["outcome"] == "improved"
    assert verdict["ratio"] < 1 / 3
