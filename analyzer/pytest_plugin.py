"""`pytest --analyze-check FILE`: compares this run's benchmarks with an earlier run's, as `analyze check` does.

`macscope_pytest` registers this module when the option is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.junitxml import xml_key

if TYPE_CHECKING:
    from analyzer.regression.benchmarks.compare_runs import BenchmarksResult
    from analyzer.trends.pytest_benchmark import BenchmarkRun

OPTION = "--analyze-check"
_base: pytest.StashKey[BenchmarkRun] = pytest.StashKey()
_machine: pytest.StashKey[Mapping[str, Any]] = pytest.StashKey()
_report: pytest.StashKey[BenchmarksResult | str] = pytest.StashKey()  # The result, or why there is none.


def pytest_configure(config: pytest.Config) -> None:
    """Reports a file that cannot be compared before the benchmarks run, which takes long."""
    name = config.getoption("analyze_check")
    from analyzer.core.errors import AnalyzerError, quoted

    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError(f"{OPTION} needs pytest-benchmark; pip install pytest-benchmark")
    from analyzer.regression.benchmarks.read_runs import load_rules, load_run

    try:
        load_rules()
        if not Path(name).exists():  # As a check of counts without a baseline, a first run passes.
            config.stash[_report] = f"there is no {quoted(name)} yet; nothing was compared. Write one: --benchmark-json"
            return
        config.stash[_base] = load_run(name)
    except AnalyzerError as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from None


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuses a file from another machine before any benchmark runs."""
    config = session.config
    if _base not in config.stash or _why_not_measured(config):
        return
    from analyzer.core.errors import one_line, quoted
    from analyzer.regression.benchmarks.compare_runs import incompatibility
    from analyzer.trends.pytest_benchmark import machine_environment

    config.stash[_machine] = config._benchmarksession.get_machine_info()  # type: ignore[attr-defined]
    if reason := incompatibility(config.stash[_base].environment, machine_environment(config.stash[_machine])):
        name = quoted(config.getoption("analyze_check"))
        raise pytest.UsageError(
            f"{OPTION}: {name} is from another machine ({one_line(reason)}); "
            "write one on this machine with --benchmark-json"
        )


@pytest.hookimpl(tryfirst=True)  # Before --junit-xml writes its file.
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A regression, or an error during the comparison, fails a session that would have passed."""
    config = session.config
    if isinstance(first_run := config.stash.get(_report, None), str):
        _publish_message(config, first_run, failed=False)
    if _base not in config.stash:
        return
    from analyzer.core.errors import AnalyzerError
    from analyzer.regression.benchmarks.compare_runs import compare_runs
    from analyzer.regression.benchmarks.read_runs import load_rules

    reason = _why_not_measured(config)
    try:
        head = None if reason else _session_run(config)
        if head is None:
            config.stash[_report] = message = f"{reason or 'no benchmark ran'}; nothing was compared"
            _publish_message(config, message, failed=False)
            return
        names = config.getoption("analyze_check"), "this run"
        result = compare_runs(config.stash[_base], head, load_rules(), names)
        config.stash[_report] = result
        failed = bool(result.failures)
        _publish(config, result)
    except AnalyzerError as error:
        config.stash[_report] = message = f"cannot compare: {error}"
        _publish_message(config, message, failed=True)
        failed = True
    if failed and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _publish(config: pytest.Config, result: BenchmarksResult) -> None:
    """Adds the result to `--junit-xml`, and under GitHub Actions to the annotations and the job's summary page."""
    from reports.regression.job_summary import publish
    from reports.regression.junit import outcomes
    from reports.regression.summary import headline
    from reports.regression.workflow_commands import in_actions

    if in_actions(os.environ):
        publish(result, os.environ)
    if (xml := config.stash.get(xml_key, None)) is None:
        return
    xml.add_global_property("analyze-check", headline(result))
    for name, outcome, message in outcomes(result):
        report = pytest.TestReport(
            f"{OPTION[2:]}::{name}", (OPTION[2:], None, name), {}, outcome, message or None, "call",
        )  # fmt: skip
        for when in ("call", "teardown"):
            report.when = when
            xml.pytest_runtest_logreport(report)


def _publish_message(config: pytest.Config, message: str, *, failed: bool) -> None:
    """The same for a session in which nothing was compared. Workers of pytest-xdist leave it to their main process."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    from analyzer.core.errors import one_line
    from reports.regression.job_summary import publish_message
    from reports.regression.workflow_commands import in_actions

    if in_actions(os.environ):
        publish_message("analyze check", message, os.environ, failed=failed)
    if (xml := config.stash.get(xml_key, None)) is not None:
        xml.add_global_property("analyze-check", one_line(message))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    report = config.stash.get(_report, None)
    if report is None:
        return
    terminalreporter.section("analyze check")
    if isinstance(report, str):
        terminalreporter.write_line(report)
        return
    import io

    from reports.formats.terminal import console, show
    from reports.regression.times import benchmark_table
    from reports.regression.workflow_commands import in_actions, neutralize

    page = io.StringIO()
    show([benchmark_table(report)], console(page))
    text = page.getvalue().rstrip("\n")
    terminalreporter.write_line(neutralize(text) if in_actions(os.environ) else text)


def _why_not_measured(config: pytest.Config) -> str:
    """Why pytest-benchmark measures nothing in this session, or empty if it does."""
    session: Any = getattr(config, "_benchmarksession", None)
    if session is None:
        return "pytest-benchmark did not start"
    if session.skip:
        return "benchmarks are skipped (--benchmark-skip)"
    return "benchmarks are disabled (--benchmark-disable, or by pytest-xdist)" if session.disabled else ""


def _session_run(config: pytest.Config) -> BenchmarkRun | None:
    """This session's benchmarks, through the hook with which pytest-benchmark writes its files; None if none ran."""
    session: Any = config._benchmarksession  # type: ignore[attr-defined]
    benchmarks = [benchmark for benchmark in session.benchmarks if benchmark and not benchmark.has_error]
    if not benchmarks:
        return None
    from pytest_benchmark.utils import safe_dumps

    from analyzer.trends.pytest_benchmark import parse_run

    data = config.hook.pytest_benchmark_generate_json(
        config=config, benchmarks=benchmarks, include_data=True, machine_info=config.stash[_machine], commit_info={}
    )
    text: str = safe_dumps(data)  # type: ignore[no-untyped-call]
    return parse_run(text, "this run")
