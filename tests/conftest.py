"""What all tests share: the reference numbers that others worked out, repeatable property tests, `analyze` run inside
this process or as one of its own, and golden files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

REFERENCE = Path(__file__).parent / "reference"
GOLDEN = Path(__file__).parent / "golden"
# What changes how a table looks; no test inherits it from whoever runs the tests.
LOOKS = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "PYTHONIOENCODING")

# The same examples on every run: a failure is never luck, and a shared machine's pauses are no failure.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Every warning is an error but one: fvcore, when it is imported, calls what torch 2.13 deprecates.

    Ctrl-C is heard: a shell starts what runs in its background deaf to it, and all that we start would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    """`reference("googlenet_caffe")` → the content of that file of tests/reference."""
    return lambda name: json.loads((REFERENCE / f"{name}.json").read_text(encoding="utf-8"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Rewrite tests/golden from what is printed now.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden("name.txt", text)` – the text is the file's, to the last byte."""

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
    """`analyze("--variant", "nin")` – the command inside this process: exit status, standard output and error."""
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
    """What a process of its own gets: the environment without what changes looks, output in UTF-8."""
    kept = {name: value for name, value in os.environ.items() if name not in LOOKS and not name.startswith("PYTHON")}
    return {**kept, "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Callable[..., Outcome]:
    """`process("--variant", "nin", COLUMNS="100")` – the command as a process of its own, in an empty folder."""

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
