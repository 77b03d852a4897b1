"""Starts a PostgreSQL server for tests and benchmarks, on loopback at a free port, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "s3cret/of the:tests"
DEBIAN = "/usr/lib/postgresql"


def missing() -> str:
    """Why no server can be started here, or an empty text."""
    if _program("initdb") is None:
        return "PostgreSQL is not installed (initdb)"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@contextmanager
def server() -> Iterator[int]:
    """The port of a server whose superuser is `admin` with PASSWORD."""
    with tempfile.TemporaryDirectory(prefix="macscope-postgresql-") as name:
        folder = Path(name)
        user = _user() if os.geteuid() == 0 else None
        password = folder / "password"
        password.write_text(PASSWORD)
        if user:
            for path in (folder, password):
                os.chown(path, user.pw_uid, user.pw_gid)
        data, port = folder / "data", _free_port()
        _run(user, "initdb", "-D", data, "-U", "admin", "-A", "scram-sha-256", "--pwfile", password,
             "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder} -c fsync=off"
        _run(user, "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "-t", "30", "start")
        try:
            yield port
        finally:
            _run(user, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _run(user: pwd.struct_passwd | None, program: str, *arguments: str | Path) -> None:
    drop = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()} if user else {}
    command = [str(_program(program)), *map(str, arguments)]
    # The server inherits the output of pg_ctl, so that a pipe would stay open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/", timeout=60,
                              check=False, **drop)  # fmt: skip
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{program}: {output.read().decode(errors='replace')}")


def _program(name: str) -> Path | None:
    """In the path or, for Debian, in the folder of the newest version."""
    found = shutil.which(name)
    versions = sorted(Path(DEBIAN).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3].split(".")[0]))
    return Path(found) if found else versions[-1] if versions else None


def _user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
