"""`pytest --analyze-check FILE`: this run's benchmarks against an earlier run's, by the outcomes of `analyze check`.

pytest loads this module in every project that has the package installed: nothing is imported until the option is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from analyzer.history.imported import Run
    from analyzer.regression.unpaired.compare import Files

OPTION = "--analyze-check"
_base: pytest.StashKey[Run] = pytest.StashKey()
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
    if name is None or hasattr(config, "workerinput"):
        return
    from analyzer.errors import AnalyzerError

    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(f"{OPTION} compares what pytest-benchmark measures; pip install pytest-benchmark")
    from analyzer.regression.unpaired.job import rules, with_samples

    try:
        rules()
        config.stash[_base] = with_samples(name)
    except AnalyzerError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A regression fails a session that would have passed."""
    config = session.config
    if _base not in config.stash:
        return
    from analyzer.errors import AnalyzerError
    from analyzer.regression.unpaired.compare import compare
    from analyzer.regression.unpaired.job import rules

    try:
        now = _now(config)
        if now is None:
            config.stash[_told] = "no benchmark ran; nothing was compared"
            return
        found = compare(config.stash[_base], now, rules(), (config.getoption("analyze_check"), "this run"))
    except AnalyzerError as error:
        config.stash[_told] = str(error)
        return
    config.stash[_told] = found
    if found.failures and session.exitstatus == pytest.ExitCode.OK:
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

    from reports import gate_files
    from reports.terminal import console, show

    page = io.StringIO()
    show(gate_files.tables(told), console(page))
    terminalreporter.write(page.getvalue() + "\n")


def _now(config: pytest.Config) -> Run | None:
    """This session's benchmarks, through the hooks by which pytest-benchmark writes its own files."""
    session = getattr(config, "_benchmarksession", None)
    ran = [one for one in session.benchmarks if one and not one.has_error] if session else []
    if session is None or not ran:
        return None
    from pytest_benchmark.utils import safe_dumps

    from analyzer.history.imported import parse

    data = config.hook.pytest_benchmark_generate_json(
        config=config, benchmarks=ran, include_data=True, machine_info=session.get_machine_info(), commit_info={}
    )
    text: str = safe_dumps(data)  # type: ignore[no-untyped-call]
    return parse(text, "this run")
