"""Another commit of the project in a temporary git worktree, removed when the check ends."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line, quoted
from analyzer.core.git import git_command, git_environment, git_error, run_git

GUARD = """
import shutil, subprocess, sys
sys.stdin.read()
shutil.rmtree(sys.argv[1], ignore_errors=True)
subprocess.run(sys.argv[2:])
"""


@contextmanager
def worktree(root: Path, ref: str) -> Iterator[tuple[Path, str]]:
    """The project's folder at commit `ref`, and the commit's short name. Removed at the end, even after Ctrl-C.

    Raises CannotMeasure for a project outside of a repository and for a ref that names no commit.
    """
    commit = resolve_commit(root, ref)
    prefix = _git(root, "rev-parse", "--show-prefix")
    temporary = Path(tempfile.gettempdir()) / f"analyze-base-{secrets.token_hex(8)}"
    tree = temporary / "tree"
    guard = _start_guard(root, temporary)  # Before the folder is made: a signal may come between the two.
    try:
        temporary.mkdir(mode=0o700)
        _git(root, "worktree", "add", "--detach", "--force", str(tree), commit)
        folder = tree / prefix
        if not folder.is_dir():
            missing = f"{quoted(ref)} does not contain the folder {one_line(prefix)}"
            raise CannotMeasure(f"{missing}; give a later commit with --base")
        yield folder, commit[:12]
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _run_git(root, "worktree", "prune")
        guard.communicate()  # Closes its input.


def _start_guard(root: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """A process that removes the worktree once this one ends, also by SIGKILL: its standard input then closes."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", GUARD, str(temporary), *git_command("worktree", "prune")],
        cwd=root,
        env=git_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C does not end it.
    )


def require_repository(root: Path) -> None:
    """Raises CannotMeasure outside of a git repository, and where git refuses the repository of another user."""
    process = _run_git(root, "rev-parse", "--git-dir")
    if process.returncode:
        reason = git_error(process)
        if "not a git repository" in reason:
            raise CannotMeasure("the project is in no git repository; --base needs a clone with the base commit")
        advice = ""
        if "dubious ownership" in reason:  # In a container that runs as another user.
            advice = f"; run git config --global --add safe.directory {one_line(root)}"
        raise CannotMeasure(f"git does not read the repository: {one_line(reason)[:200]}{advice}")


def resolve_commit(root: Path, ref: str) -> str:
    """The commit that a ref names."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except CannotMeasure:
        require_repository(root)
        raise AnalyzerError(
            f"there is no commit {quoted(ref)} in this repository; give an existing branch, tag or commit "
            "(in CI the checkout must fetch it: fetch-depth: 0)"
        ) from None


def uncommitted_files(root: Path) -> int:
    """The number of files that differ from the last commit, untracked ones included; 0 without a repository."""
    process = _run_git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return len(process.stdout.splitlines()) if process.returncode == 0 else 0


def _git(root: Path, *arguments: str) -> str:
    process = _run_git(root, *arguments)
    if process.returncode:
        raise CannotMeasure(f"git {arguments[0]} failed: {one_line(git_error(process))[:200]}")
    return process.stdout.strip()


def _run_git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return run_git(root, *arguments)
    except OSError as error:
        raise CannotMeasure(f"cannot run git: {error.strerror or error}; --base needs it") from None
