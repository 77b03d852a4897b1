"""git runs nothing that a repository's configuration names, and its errors give the reason."""

from __future__ import annotations

import subprocess

import pytest

from analyzer.core.git import git_error, run_git


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first"],
                   cwd=tmp_path, check=True)  # fmt: skip
    return tmp_path


@pytest.mark.parametrize("key", ["core.fsmonitor", "core.pager"])
def test_configured_programs_do_not_run(repository, key):
    program = repository / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {repository}/RAN\n")
    program.chmod(0o755)
    subprocess.run(["git", "config", key, str(program)], cwd=repository, check=True)
    assert run_git(repository, "status", "--porcelain").returncode == 0
    assert run_git(repository, "log").returncode == 0
    assert not (repository / "RAN").exists()


def test_hooks_do_not_run(repository):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {repository}/RAN\n")
    hook.chmod(0o755)
    assert run_git(repository, "worktree", "add", "--detach", str(repository / "tree")).returncode == 0
    assert not (repository / "RAN").exists()


def test_a_bare_repository_inside_a_folder_is_not_used(tmp_path):
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "vendored")], check=True)
    assert run_git(tmp_path / "vendored", "rev-parse", "--git-dir").returncode == 128


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("fatal: detected dubious ownership in repository at 'x'\nTo add one, call:\n\n\tgit config --global y\n",
         "detected dubious ownership in repository at 'x'"),
        ("warning: a\nerror: b\n", "error: b"),
        ("", "status 3"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure(printed, reason):
    assert git_error(subprocess.CompletedProcess([], 3, "", printed)) == reason
