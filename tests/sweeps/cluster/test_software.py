"""What a worker must have in common with the driver, and the files that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.sweeps.cluster import model_files
from analyzer.sweeps.cluster.fleet import _understood
from analyzer.sweeps.cluster.model_files import model_file, shipment, unpack
from analyzer.sweeps.cluster.software import Software, describe, description, difference, software

OURS = Software("1.0", "1a2b3c4", "aaaa", "2.13.0", {"timm:resnet18": "timm==1.0"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ""),
        ({"commit": "unknown"}, ""),  # An installed wheel of the same content.
        ({"content": "bbbb"}, "macscope 1.0 (commit 1a2b3c4, content bbbb); wanted 1.0"),
        ({"torch": "2.12.0"}, "torch 2.12.0; wanted 2.13.0"),
        ({"sources": {"timm:resnet18": "timm==0.9"}}, "timm:resnet18 is from timm==0.9; wanted timm==1.0"),
        ({"sources": {}}, "timm:resnet18 is from missing"),
    ],
)
def test_what_differs_is_named(changes: dict[str, object], expected: str) -> None:
    assert difference(OURS, OURS.replace(**changes)).startswith(expected)
    assert bool(difference(OURS, OURS.replace(**changes))) is bool(expected)


def test_a_description_survives_the_way_and_equals_ours() -> None:
    models = ["nin", "nowhere:Net", "no-such-network"]
    described = description(describe(models))
    assert difference(software(models), described.software) == ""
    assert "+" not in described.software.torch
    assert described.machine.host


@pytest.mark.parametrize("answer", [None, 3, {}, {"software": {}}, Exception("ModuleNotFoundError('analyzer')")])
def test_an_answer_that_is_none_of_ours_is_a_reason(answer: object) -> None:
    assert "version" in str(_understood(answer))


def test_a_file_is_sent_with_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import os\nfrom blocks import Block\nimport parts.layers\n")
    (tmp_path / "blocks.py").write_text("import net\nfrom . import never\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "layers.py").write_text("import torch\n")
    (tmp_path / "secret.py").write_text("")
    sent = shipment(f"{tmp_path}/net.py:Net(n=2)")
    assert sent.model == "net.py:Net(n=2)"
    assert [name for name, _ in sent.files] == ["blocks.py", "net.py", "parts/__init__.py", "parts/layers.py"]
    folder = unpack(sent.files, str(tmp_path))
    assert (folder / "parts" / "layers.py").read_text() == "import torch\n"
    assert folder.stat().st_mode & 0o77 == 0
    (tmp_path / "blocks.py").write_text("")
    assert shipment(f"{tmp_path}/net.py:Net(n=2)").digest != sent.digest


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="not inside"):
        unpack((("../net.py", b""),), str(tmp_path))
    assert not (tmp_path / "net.py").exists()


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("googlenet", ""),
        ("timm:resnet18", ""),
        ("package.module:Net", ""),
        ("a/net.py:Net", "a/net.py"),
        ("net.py", "net.py"),
        ("net.py:Net(path='x.py:y')", "net.py"),
        ("model.pt2", "model.pt2"),
    ],
)
def test_the_file_of_a_reference(model: str, path: str) -> None:
    assert model_file(model) == path


def test_programs_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnalyzerError, match="exported program"):
        shipment("model.pt2")
    with pytest.raises(AnalyzerError, match="cannot read"):
        shipment(f"{tmp_path}/net.py:Net")
    monkeypatch.setattr(model_files, "MAX_BYTES", 1 << 20)
    (tmp_path / "net.py").write_text("#" * (1 << 20) + "\n")
    with pytest.raises(AnalyzerError, match="more than 1 MiB"):
        shipment(f"{tmp_path}/net.py:Net")
