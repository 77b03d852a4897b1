"""Files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from analyzer.core.errors import AnalyzerError, quoted


def write_text(path: str | Path, text: str, *, advice: str = "name another file with -o") -> None:
    """Replaces the file at `path` in one step. Raises AnalyzerError, and leaves what was there, if it cannot."""
    try:
        target = _target(path)
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        _replace(target, text)
    except OSError as error:
        raise _refused(path, error, advice) from None


def require_writable(path: str | Path, *, advice: str = "name another file with -o") -> None:
    """Raises what `write_text` would raise for the place itself. For before long work, whose result it is to hold."""
    try:
        target = _target(path)
        if not target.parent.is_dir():
            target.stat()  # Says what is wrong: there is no such folder, or it is none.
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise PermissionError(13, "it is read-only")
    except OSError as error:
        raise _refused(path, error, advice) from None


def _target(path: str | Path) -> Path:
    """A link or a device stays what it is: the file behind it is replaced, a device is written to."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(40, "it is a link to itself")
    if target.is_dir() or not str(path):
        raise IsADirectoryError(21, "it is a folder")
    return target


def _refused(path: str | Path, error: OSError, advice: str) -> AnalyzerError:
    return AnalyzerError(f"cannot write {quoted(path)}: {error.strerror or error}; {advice}")


def _replace(target: Path, text: str) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "it is read-only")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def project_root(start: Path | None = None) -> Path:
    """The nearest folder up with a pyproject.toml or .git; without one, the folder that the search began in."""
    start = (start or Path.cwd()).resolve()
    marks = ("pyproject.toml", ".git")
    return next((folder for folder in (start, *start.parents) if any((folder / one).exists() for one in marks)), start)
