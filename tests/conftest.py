"""Shared fixtures: independent reference numbers, repeatable property tests, `analyze` run in this process or a new
one, and golden files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

REFERENCE = Path(__file__).parent / "reference"
GOLDEN = Path(__file__).parent / "golden"
# Variables that change the output; tests do not inherit them.
LOOKS = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "PYTHONIOENCODING")

# The same examples on every run and no deadline: results do not depend on chance or on other processes.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, except that fvcore on import calls a function that torch 2.13 deprecates.

    Shells ignore SIGINT and SIGQUIT in background jobs, and `nohup` ignores SIGHUP. Child processes inherit that, so
    the handlers are restored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGQUIT"):
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@pytest.fixture(scope="session", autouse=True)
def lock_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder of its own for locks: timings of tests wait for no other timing of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    """`reference("googlenet_caffe")` → the content of that file of tests/reference."""
    return lambda name: json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Rewrite tests/golden with the current output.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden("name.txt", text)` asserts that the text is that of the file, to the last byte."""

    def check(name: str, text: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--update-golden"):
            assert "CI" not in os.environ, "CI compares golden files; it never rewrites them"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(text.encode())
        assert file.exists(), f"{file} is missing; pytest --update-golden writes it"
        assert text == file.read_bytes().decode(), f"{file} differs; if it should, pytest --update-golden"

    return check


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def analyze(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """`analyze("--variant", "nin")` runs the command in this process: exit status, standard output and error."""
    from analyzer.cli.app import main

    for name in LOOKS:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = main(list(arguments))
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a new process: without variables that change the output, in UTF-8."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in LOOKS and not name.startswith("PYTHON")
    }
    return {**inherited, "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Callable[..., Outcome]:
    """`process("--variant", "nin", COLUMNS="100")` runs the command in a new process, in an empty folder."""

    def run(*arguments: str, **changes: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "analyzer", *arguments],
            cwd=tmp_path,
            env={**environment, **changes},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch computes in one thread: more threads than processors wait for each other most of the time."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
