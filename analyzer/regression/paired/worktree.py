"""Another state of the project beside this one: a git worktree in a temporary folder, gone when the check is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.core.errors import CannotMeasure, one_line, quoted

# A hook calls us with these set to its own repository's index; a worktree needs one of its own.
HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")


@contextmanager
def worktree(root: Path, ref: str) -> Iterator[tuple[Path, str]]:
    """The project's folder as it is at `ref`, and that commit's short name. Nothing of it is left, also after Ctrl-C.

    Raises CannotMeasure for a project that is in no repository and for a ref that names no commit.
    """
    commit = resolved(root, ref)
    inside = _git(root, "rev-parse", "--show-prefix")
    folder = Path(tempfile.mkdtemp(prefix="analyze-base-"))
    tree = folder / "tree"
    try:
        # A hook of the project's would run in a folder that it does not know.
        _git(root, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--force", str(tree), commit)
        place = tree / inside
        if not place.is_dir():
            raise CannotMeasure(f"{quoted(ref)} has no folder {one_line(inside)}; name a later commit with --base")
        yield place, commit[:12]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _run(root, "worktree", "prune")


def resolved(root: Path, ref: str) -> str:
    """The commit that a ref names."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except CannotMeasure:
        _git(root, "rev-parse", "--git-dir")  # Says so where there is no repository at all.
        raise CannotMeasure(
            f"there is no commit {quoted(ref)} here; name a branch, tag or commit that git log knows "
            "(in CI the checkout must fetch it: fetch-depth: 0)"
        ) from None


def dirty(root: Path) -> int:
    """How many files differ from the last commit, those that git does not know included; 0 without a repository."""
    done = _run(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return len(done.stdout.splitlines()) if done.returncode == 0 else 0


def _git(root: Path, *arguments: str) -> str:
    done = _run(root, *arguments)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise CannotMeasure(f"git {arguments[0]} failed: {one_line(said[-1] if said else done.returncode)[:200]}")
    return done.stdout.strip()


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in HOOKS}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=root,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise CannotMeasure(f"cannot run git: {error.strerror or error}; --base needs it") from None
