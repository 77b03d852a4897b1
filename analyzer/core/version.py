"""Version information for `analyze --version`, from metadata and files: torch is not imported."""

from __future__ import annotations

import subprocess
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from analyzer.core.git import run_git


def version() -> str:
    """One line, such as `macscope 0.1.0 (commit 1a2b3c4, torch 2.13.0+cpu)`."""
    return f"macscope {metadata.version('macscope')} (commit {commit()}, torch {torch_build()})"


def commit() -> str:
    """The commit of the checkout that holds this file; "unknown" for an installed wheel."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder.parent / ".git").exists():
        return "unknown"
    try:
        described = run_git(folder, "describe", "--always", "--dirty", "--exclude=*", timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return described.stdout.strip() or "unknown"


def torch_build() -> str:
    """torch's version string with its build (`+cpu`, `+cu130`), read from its version file."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return "not installed"
    try:
        for line in (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8").splitlines():
            if line.startswith("__version__"):
                return line.split("=", 1)[1].strip().strip("'\"")
        return metadata.version("torch")
    except (OSError, metadata.PackageNotFoundError):
        return "unknown"
