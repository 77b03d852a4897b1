"""Runs git without the hooks, file-system monitors and pagers that a repository's configuration could execute."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Git sets these for hooks, to the index of the hook's repository; another folder needs its own.
HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
SAFE = (
    "--no-pager",
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "safe.bareRepository=explicit"),  # Ignores bare repositories inside the checkout.
)


def run_git(folder: Path, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Raises OSError without git, subprocess.TimeoutExpired after `timeout` seconds. English, whatever the locale."""
    return subprocess.run(
        git_command(*arguments),
        cwd=folder,
        env=git_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )


def git_command(*arguments: str) -> list[str]:
    return ["git", *SAFE, *arguments]


def git_environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
    return {**environment, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}


def git_error(process: subprocess.CompletedProcess[str]) -> str:
    """The reason of a failed call: git's line `fatal: …`, since advice of several lines can follow it."""
    lines = [line.strip() for line in process.stderr.splitlines() if line.strip()]
    reasons = [line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")]
    return (reasons or lines[-1:] or [f"status {process.returncode}"])[0]
