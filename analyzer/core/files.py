"""Reads with a limit, and atomic writes: a file is replaced as a whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from analyzer.core.errors import AnalyzerError, one_line, quoted

MAX_BYTES = 1 << 28
PIPE_WAIT_S = 10.0
DATA = ".analyze"  # The folder of a project in which runs and caches are kept.


def read_text(path: str | Path, *, encoding: str = "utf-8") -> str:
    """The text of a file or pipe. Raises OSError if it is larger than 256 MiB, since a device such as /dev/zero never
    ends, and for a pipe that no program opens to write."""
    with open_seekable(path) as file:
        data = file.read(MAX_BYTES + 1)
    _refuse_large(data)
    return data.decode(encoding)


def read_or_refuse(path: str | Path, wanted: str = "") -> str:
    """As `read_text`, but raises AnalyzerError, which ends with what was `wanted`."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or ("it is not text" if isinstance(error, UnicodeError) else error)
        advice = f"; {wanted}" if wanted else ""
        raise AnalyzerError(f"cannot read {quoted(path)}: {one_line(reason)}{advice}") from None


@contextmanager
def open_seekable(path: str | Path) -> Iterator[BinaryIO]:
    """A file to read, of any size; the whole content of a pipe or device. Raises OSError as `read_text`."""
    with open(path, "rb", opener=_open_at_once) as file:
        mode = os.fstat(file.fileno()).st_mode
        data = _first_data(file.fileno()) if stat.S_ISFIFO(mode) else b""
        if os.name == "posix":
            os.set_blocking(file.fileno(), True)
        if stat.S_ISREG(mode):
            yield file
            return
        data += file.read(MAX_BYTES + 1)
    _refuse_large(data)
    yield io.BytesIO(data)


def _refuse_large(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MiB")


def _open_at_once(path: str, flags: int) -> int:
    """For `open`, which would wait for the writer of a named pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _first_data(pipe: int) -> bytes:
    """What a non-blocking pipe has once a program has opened it to write; nothing if it has not written yet."""
    import select

    deadline = time.monotonic() + PIPE_WAIT_S
    data, ended = b"", False
    while not data and not ended:
        ended = bool(select.select([pipe], [], [], 0.02)[0])  # Readable without data: its writer has closed it.
        try:
            data = os.read(pipe, 1 << 16)
        except BlockingIOError:
            break  # It has a writer.
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, f"it is a pipe to which no program writes; waited {PIPE_WAIT_S:g} s")
    return data


def write_text(path: str | Path, text: str, *, advice: str = "name another file with -o") -> None:
    """Replaces the file at `path` in one step. Raises AnalyzerError, and keeps the old file, if it cannot."""
    with replacing(path, advice=advice) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: str | Path, *, advice: str = "name another file with -o") -> Iterator[BinaryIO]:
    """As `write_text`, for a result that is written in parts: if the block raises an error, the old file is kept."""
    try:
        target = _resolved(path)
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
        else:
            with _replacing(target) as file:
                yield file
    except OSError as error:
        raise _write_error(path, error, advice) from None


def require_writable(path: str | Path, *, advice: str = "name another file with -o") -> None:
    """Raises the AnalyzerError that `write_text` would raise. Call it before long work, so that its result is not
    lost."""
    try:
        target = _resolved(path)
        if not target.parent.is_dir():
            target.stat()  # Raises the error that fits: no such folder, or not a folder.
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise PermissionError(13, "it is read-only")
        if target.is_file() and _is_mounted(target):
            raise OSError(errno.EBUSY, "it is mounted, so that it cannot be replaced in one step; mount its folder")
    except OSError as error:
        raise _write_error(path, error, advice) from None


def _resolved(path: str | Path) -> Path:
    """Resolves symbolic links, so that the target is replaced and not the link; a device such as /dev/stdout is
    kept."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(40, "it is a link to itself")
    if target.is_dir() or not str(path):
        raise IsADirectoryError(21, "it is a folder")
    return target


def _is_mounted(file: Path) -> bool:
    """Whether the file itself is a mount point, such as by `docker -v "$PWD/a.json:/a.json"`."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return os.path.ismount(file)
    # The fifth field is the mount point; proc(5): space, tab, newline and backslash are written in octal.
    name = re.sub(rb"[ \t\n\\]", lambda match: b"\\%03o" % match[0][0], os.fsencode(file))
    return any(mount.split(b" ")[4] == name for mount in mounts if mount.count(b" ") > 4)


def _write_error(path: str | Path, error: OSError, advice: str) -> AnalyzerError:
    return AnalyzerError(f"cannot write {quoted(path)}: {error.strerror or error}; {advice}")


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A temporary file beside the target, which takes its place at the end of the block."""
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "it is read-only")
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def make_data_folder(folder: Path) -> None:
    """Makes a folder at or below `.analyze`, which gets a `.gitignore` so that git leaves it out. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    data = next(parent for parent in (folder, *folder.parents) if parent.name == DATA)
    with suppress(OSError), (data / ".gitignore").open("x", encoding="utf-8") as file:  # A user's own file is kept.
        file.write("*\n")


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` with a pyproject.toml or .git; without one, `start` (default: the cwd)."""
    start = (start or Path.cwd()).resolve()
    markers = ("pyproject.toml", ".git")
    roots = (folder for folder in (start, *start.parents) if any((folder / marker).exists() for marker in markers))
    return next(roots, start)
