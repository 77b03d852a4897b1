"""Which commit a time check compares with: `--base auto` in CI, and a warning if a base has commits that head lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.git import run_git

AUTO = "auto"
# The variables in which CI servers name the branch that a change goes to: GitHub, GitLab, Jenkins, Azure, Bitbucket.
TARGET_VARIABLES = ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CHANGE_TARGET",
                    "SYSTEM_PULLREQUEST_TARGETBRANCH", "BITBUCKET_PR_DESTINATION_BRANCH")  # fmt: skip


def find_base(root: Path, environment: Mapping[str, str]) -> str:
    """The commit before the change that is checked out.

    A merge commit, which GitHub checks out for a pull request and a merge queue, has the base as its first parent.
    Unlike the branch, this parent stays the same if the job runs again later. Else it is where the branch left its
    target, which CI servers name in a variable, or without a target the commit before. Raises AnalyzerError, with what
    to fetch, if the checkout lacks that commit.
    """
    if _commit(root, "HEAD^2"):
        return "HEAD^1"
    target = next((environment[name] for name in TARGET_VARIABLES if environment.get(name)), "")
    if target:
        target = target.removeprefix("refs/heads/")
        for ref in (f"origin/{target}", target):
            if base := _run(root, "merge-base", "HEAD", ref):
                return base
        raise AnalyzerError(
            f"--base auto: the checkout does not reach the commit where this change left {one_line(target)}; check out "
            "the merge commit with fetch-depth: 2, or everything with fetch-depth: 0"
        )
    if parent := _commit(root, "HEAD^1"):
        return parent
    raise AnalyzerError("--base auto: HEAD has no parent in this checkout; check it out with fetch-depth: 2 or more")


def ancestry_note(root: Path, base: str) -> str:
    """A warning if the base has commits that head lacks, such as of a branch that moved on; else empty."""
    commit, fork = _commit(root, base), _run(root, "merge-base", "HEAD", base)
    if not fork or fork == commit:  # Without a common commit the checkout is shallow, and nothing is known.
        return ""
    ahead = _run(root, "rev-list", "--count", f"HEAD..{commit}")
    return (
        f"{one_line(base)} is no ancestor of HEAD: its {ahead} later commits are timed as if this change removed them; "
        f"--base {fork[:12]} is where HEAD left it"
    )


def _commit(root: Path, ref: str) -> str | None:
    return _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}") or None


def _run(root: Path, *arguments: str) -> str:
    try:
        process = run_git(root, *arguments)
    except OSError:
        return ""  # The worktree reports it.
    return process.stdout.strip() if process.returncode == 0 else ""
