"""A server of PostgreSQL for tests and benchmarks: on loopback at a free port, its files in a temporary folder."""

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
from typing import NamedTuple
from urllib.parse import quote

PASSWORD = "s3cret/of the:tests"
DEBIAN = "/usr/lib/postgresql"


class Server(NamedTuple):
    port: int

    def url(self, database: str, user: str = "admin", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def create(self, database: str) -> str:
        """The URL of a new database."""
        self.execute(f"CREATE DATABASE {database}")
        return self.url(database)


def unavailable() -> str:
    """Why no server can be started here; empty if it can."""
    if os.name != "posix":
        return "no PostgreSQL on this system"
    if _program("initdb") is None:
        return "PostgreSQL is not installed: no initdb"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root, and there is no user postgres"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    return ""


@contextmanager
def running() -> Iterator[Server]:
    """A new server, whose superuser is `admin` with PASSWORD. It stops at the end, and its files are deleted."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        user = _user() if os.geteuid() == 0 else None
        password = folder / "password"
        password.write_text(PASSWORD)
        for path in (folder, password) if user else ():
            os.chown(path, user.pw_uid, user.pw_gid)
        data, port = folder / "data", _free_port()
        _run(user, "initdb", "-D", data, "-U", "admin", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        _run(user, "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "-t", "30", "start")
        try:
            yield Server(port)
        finally:
            _run(user, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _run(user: pwd.struct_passwd | None, program: str, *arguments: str | Path) -> None:
    """As the user, since PostgreSQL refuses to run as root. The server keeps the output open: it is no pipe."""
    command = [str(_program(program)), *map(str, arguments)]
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()} if user else {}
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", timeout=60, check=False, **as_user
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")


def _program(name: str) -> Path | None:
    """In the path or, on Debian, in the folder of the newest version."""
    found = shutil.which(name)
    versions = sorted(Path(DEBIAN).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
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
