"""`pytest --analyze-check FILE`: this run's benchmarks against an earlier run's, by the outcomes of `analyze check`.

pytest loads this module in every project that has the package installed: nothing is imported until the option is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from analyzer.history.pytest_benchmark import Run
    from analyzer.regression.benchmarks.compare import Files

OPTION = "--analyze-check"
_base: pytest.StashKey[Run] = pytest.StashKey()
_machine: pytest.StashKey[Mapping[str, Any]] = pytest.StashKey()
_told: pytest.StashKey[Files | str] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("analyze").addoption(
        OPTION,
        metavar="FILE",
        default=None,
        help="Fail if a benchmark regressed against that file of pytest-benchmark, by the outcomes of analyze check.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """What cannot be compared is said before the benchmarks run, which takes long."""
    name = config.getoption("analyze_check")
    if name is None or hasattr(config, "workerinput") or config.getoption("collectonly"):
        return
    from analyzer.core.errors import AnalyzerError

    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(f"{OPTION} compares what pytest-benchmark measures; pip install pytest-benchmark")
    from analyzer.regression.benchmarks.load import rules, with_samples

    try:
        rules()
        config.stash[_base] = with_samples(name)
    except AnalyzerError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Another machine's file is no base for this one: every benchmark would be measured for nothing."""
    config = session.config
    if _base not in config.stash or _unmeasured(config):
        return
    from analyzer.core.errors import one_line, quoted
    from analyzer.history.pytest_benchmark import environment
    from analyzer.regression.benchmarks.compare import why_not

    config.stash[_machine] = config._benchmarksession.get_machine_info()  # type: ignore[attr-defined]
    if apart := why_not(config.stash[_base].environment, environment(config.stash[_machine])):
        name = quoted(config.getoption("analyze_check"))
        raise pytest.UsageError(
            f"{OPTION}: {name} is of another machine ({one_line(apart)}); "
            "write one on this machine with --benchmark-json"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A regression fails a session that would have passed; so does what could not be compared after all."""
    config = session.config
    if _base not in config.stash:
        return
    from analyzer.core.errors import AnalyzerError
    from analyzer.regression.benchmarks.compare import compare
    from analyzer.regression.benchmarks.load import rules

    try:
        now = None if _unmeasured(config) else _now(config)
        if now is None:
            why = _unmeasured(config) or "no benchmark ran"
            config.stash[_told] = f"{why}; nothing was compared"
            return
        found = compare(config.stash[_base], now, rules(), (config.getoption("analyze_check"), "this run"))
        failed = bool(found.failures)
        config.stash[_told] = found
    except AnalyzerError as error:
        config.stash[_told] = f"cannot compare: {error}"
        failed = True
    if failed and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    told = config.stash.get(_told, None)
    if told is None:
        return
    terminalreporter.section("analyze check")
    if isinstance(told, str):
        terminalreporter.write_line(told)
        return
    import io

    from reports.formats.terminal import console, show
    from reports.regression import annotations as actions
    from reports.regression import benchmarks as gate_files

    page = io.StringIO()
    show(gate_files.tables(told), console(page))
    text = page.getvalue().rstrip("\n")
    terminalreporter.write_line(actions.inert(text) if actions.active(os.environ) else text)


def _unmeasured(config: pytest.Config) -> str:
    """Why pytest-benchmark measures nothing here, or empty where it does."""
    session: Any = getattr(config, "_benchmarksession", None)
    if session is None:
        return "pytest-benchmark did not start"
    if session.skip:
        return "benchmarks are skipped (--benchmark-skip)"
    return "benchmarks are disabled (--benchmark-disable, or by pytest-xdist)" if session.disabled else ""


def _now(config: pytest.Config) -> Run | None:
    """This session's benchmarks, through the hook by which pytest-benchmark writes its own files."""
    session: Any = config._benchmarksession  # type: ignore[attr-defined]
    ran = [one for one in session.benchmarks if one and not one.has_error]
    if not ran:
        return None
    from pytest_benchmark.utils import safe_dumps

    from analyzer.history.pytest_benchmark import parse

    data = config.hook.pytest_benchmark_generate_json(
        config=config, benchmarks=ran, include_data=True, machine_info=config.stash[_machine], commit_info={}
    )
    text: str = safe_dumps(data)  # type: ignore[no-untyped-call]
    return parse(text, "this run")
