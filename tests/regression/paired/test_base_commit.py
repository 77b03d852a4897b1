"""`--base auto` in the checkouts of CI servers, and the warning about a branch that moved on."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.regression.paired.base_commit import TARGET_VARIABLES, ancestry_note, find_base
from tests.regression.paired.conftest import git


@pytest.fixture
def repository(commit, tmp_path):
    """main: first, second. feature: first, change. `pull`: their merge, as GitHub makes it. Then main goes on."""
    commit(layers=1)
    git(tmp_path, "checkout", "-q", "-b", "feature")
    commit(layers=2, **{"docs.md": "change"})
    git(tmp_path, "checkout", "-q", "main")
    commit(layers=1, **{"other.md": "second"})
    git(tmp_path, "checkout", "-q", "-b", "pull")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "feature")
    git(tmp_path, "checkout", "-q", "main")
    commit(layers=1, **{"later.md": "third"})
    return tmp_path


def clone(repository, tmp_path_factory, branch, depth):
    target = tmp_path_factory.mktemp("clone") / "clone"
    git(repository, "clone", "-q", "--depth", str(depth), "--branch", branch, f"file://{repository}", str(target))
    return target


def subject(root, ref):
    return git(root, "log", "-1", "--format=%H", ref).strip()


@pytest.mark.parametrize("environment", [{}, {"GITHUB_BASE_REF": "main"}])
def test_a_merge_commit_of_depth_2_has_its_base(repository, tmp_path_factory, environment):
    """Although main has moved on since, as when a job runs again."""
    root = clone(repository, tmp_path_factory, "pull", 2)
    base = find_base(root, environment)
    assert subject(root, base) == subject(repository, "main~1")


@pytest.mark.parametrize("branch", ["pull", "feature"])
def test_a_checkout_of_depth_1_says_what_to_fetch(repository, tmp_path_factory, branch):
    root = clone(repository, tmp_path_factory, branch, 1)
    for environment in ({}, {"GITHUB_BASE_REF": "main"}):
        with pytest.raises(AnalyzerError, match="fetch-depth: 2"):
            find_base(root, environment)


@pytest.mark.parametrize("variable", TARGET_VARIABLES)
def test_a_branch_is_compared_with_where_it_left_its_target(repository, variable):
    git(repository, "checkout", "-q", "feature")
    base = find_base(repository, {variable: "refs/heads/main" if variable.startswith("SYSTEM") else "main"})
    assert base == subject(repository, "main~2")


def test_a_push_is_compared_with_the_commit_before(repository):
    assert subject(repository, find_base(repository, {"GITHUB_BASE_REF": ""})) == subject(repository, "main~1")


def test_a_branch_that_moved_on_is_named(repository):
    git(repository, "checkout", "-q", "feature")
    note = ancestry_note(repository, "main")
    assert "main is no ancestor of HEAD: its 2 later commits" in note
    assert subject(repository, "main~2")[:12] in note
    assert ancestry_note(repository, "main~2") == ancestry_note(repository, "HEAD") == ""
    assert ancestry_note(repository, "nowhere") == ""
