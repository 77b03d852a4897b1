"""Temporary worktrees of another commit."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.regression.paired.worktree import uncommitted_files, worktree
from tests.regression.paired.conftest import git


def test_the_worktree_has_the_commits_files_and_is_removed(commit, tmp_path, temporary):
    before = commit(layers=4)
    commit(layers=8)
    with worktree(tmp_path, before) as (folder, name):
        assert "range(4)" in (folder / "net.py").read_text(encoding="utf-8")
        assert before.startswith(name)
        assert temporary in folder.parents
    assert not folder.exists()
    assert list(temporary.iterdir()) == []
    assert git(tmp_path, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_worktree_is_removed_after_an_error(commit, tmp_path, temporary, error):
    commit()
    with pytest.raises(error), worktree(tmp_path, "HEAD"):
        raise error
    assert list(temporary.iterdir()) == []
    assert git(tmp_path, "worktree", "list").count("\n") == 0


def test_a_project_in_a_subfolder_of_its_repository(commit, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    commit(**{"inner/pyproject.toml": ""})
    with worktree(inner, "main") as (folder, _):
        assert (folder / "pyproject.toml").exists()
        assert not (folder / "net.py").exists()


def test_a_subfolder_that_the_commit_lacks(commit, tmp_path, temporary):
    commit()
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(CannotMeasure, match="does not contain the folder inner"), worktree(inner, "main"):
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("ref", ["nowhere", "--help", "HEAD:net.py", ""])
def test_a_ref_that_names_no_commit(commit, tmp_path, ref):
    commit()
    with pytest.raises(AnalyzerError, match="fetch-depth"), worktree(tmp_path, ref):
        pass


def test_no_repository(tmp_path):
    with (
        pytest.raises(CannotMeasure, match="no git repository"),
        worktree(tmp_path, "main"),
    ):
        pass


def test_hooks_do_not_run_and_their_variables_are_ignored(commit, tmp_path, monkeypatch):
    commit()
    hook = tmp_path / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    with worktree(tmp_path, "main") as (folder, _):
        assert not (folder / "ran").exists()


def test_uncommitted_files_are_counted(commit, tmp_path: Path):
    assert uncommitted_files(tmp_path / "..") == 0
    commit()
    assert uncommitted_files(tmp_path) == 0
    (tmp_path / "new.py").write_text("", encoding="utf-8")
    (tmp_path / "net.py").write_text("", encoding="utf-8")
    assert uncommitted_files(tmp_path) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from analyzer.regression.paired.worktree import worktree
with worktree(Path.cwd(), "HEAD") as (folder, commit):
    print(folder, flush=True)
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGQUIT"])
def test_a_killed_check_leaves_no_worktree(commit, tmp_path, name):
    commit()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode < 0
    tree, end = Path(done.stdout.strip()), time.monotonic() + 30
    while (tree.parent.exists() or [*(tmp_path / ".git").glob("worktrees/*")]) and time.monotonic() < end:
        time.sleep(0.02)
    assert not tree.parent.exists()
    assert [*(tmp_path / ".git").glob("worktrees/*")] == []


@pytest.mark.parametrize(
    ("different_owner", "words"), [(False, ["no git repository"]), (True, ["dubious ownership", "safe.directory"])]
)
def test_a_folder_that_git_does_not_read_is_explained(tmp_path, monkeypatch, analyze, project, different_owner, words):
    """In containers the checkout often belongs to another user."""
    project('models = ["nin"]')
    if different_owner:
        git(tmp_path, "init", "--quiet")
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for base in ("auto", "main"):
        done = analyze("check", "--base", base)
        assert done.status == 3
        assert [word for word in words if word not in done.err] == []
        assert done.err.count("\n") == 1


def test_a_signal_while_the_guard_starts_leaves_no_folder(commit, tmp_path, temporary, monkeypatch):
    def interrupted(root, folder):
        raise KeyboardInterrupt

    commit()
    monkeypatch.setattr("analyzer.regression.paired.worktree._start_guard", interrupted)
    with pytest.raises(KeyboardInterrupt), worktree(tmp_path, "HEAD"):
        pytest.fail("the guard has not started")
    assert list(temporary.iterdir()) == []
