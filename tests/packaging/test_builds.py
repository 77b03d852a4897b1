"""The version of a build from git tags, and what make says about an old Python."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A folder with the script of the version, and a function that runs git in it."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "version.py", tmp_path / ".ci")

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    return tmp_path, git


def version(folder: Path) -> str:
    return runpy.run_path(str(folder / ".ci" / "version.py"))["VERSION"]


def test_the_version_is_from_the_tag(checkout):
    folder, git = checkout
    assert version(folder) == "0.1.0"  # No git.
    git("init", "-q")
    assert version(folder) == "0.1.0"  # No commit.
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert version(folder).startswith("0.1.0.dev1+g")
    for tag, exact, later in (("v0.2.0", "0.2.0", "0.2.1.dev1+g"), ("v1.0.0rc1", "1.0.0rc1", "1.0.0.dev1+g")):
        git("tag", tag)
        assert version(folder) == exact
        git("commit", "-q", "--allow-empty", "-m", "next")
        assert version(folder).startswith(later)


@pytest.mark.parametrize(("printed", "noun"), [("3.10 False", "this is 3.10"), ("", "does not run")])
def test_make_names_the_python_that_it_needs(printed, noun, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{printed}'\n")
    python.chmod(0o755)
    done = subprocess.run(["make", "-n", f"PYTHON={python}", "demo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert noun in done.stderr
    assert "3.11 or newer is needed" in done.stderr


def test_an_index_shows_the_readme_with_links_to_the_repository():
    pytest.importorskip("hatchling")
    names = runpy.run_path(str(ROOT / ".ci" / "metadata.py"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    relative = names["LINK"].findall(readme)
    assert relative
    assert [path for path in relative if not (ROOT / path.partition("#")[0]).exists()] == []
    address = "https://example.org/macscope"
    linked = names["absolute"](readme, address)
    assert f"]({address}/blob/HEAD/docs/conventions.md#json-and-csv)" in linked
    assert names["LINK"].findall(linked) == []
    assert "](https://arxiv.org/abs/1409.4842)" in linked


@pytest.mark.parametrize("address", ["", "https://example.org/macscope/"])
def test_addresses_are_those_of_the_environment(address, monkeypatch):
    pytest.importorskip("hatchling")
    monkeypatch.setenv("REPOSITORY_URL", address)
    hook = runpy.run_path(str(ROOT / ".ci" / "metadata.py"))["MetadataHook"](str(ROOT), {})
    metadata: dict[str, object] = {}
    hook.update(metadata)
    expected = {"Repository": "https://example.org/macscope", "Issues": "https://example.org/macscope/issues",
                "Changelog": "https://example.org/macscope/blob/HEAD/CHANGELOG.md"}  # fmt: skip
    assert metadata["urls"] == (expected if address else {})
