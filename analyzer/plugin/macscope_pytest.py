"""The entry point of `pytest --analyze-check FILE`. pytest imports it in every project of the environment.

A project may have its own package `analyzer`. So this module is installed under a separate name, next to the packages,
and imports macscope only when the option is given.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("analyze").addoption(
        "--analyze-check",
        metavar="FILE",
        default=None,
        help="Fail if a benchmark regressed compared with this file of pytest-benchmark, as analyze check does.",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("analyze_check") is None or hasattr(config, "workerinput") or config.getoption("collectonly"):
        return
    try:
        from analyzer import pytest_plugin
    except ImportError as error:
        raise pytest.UsageError(
            f"--analyze-check: macscope cannot be imported ({error}); if this project has its own analyzer or reports, "
            "write a file with --benchmark-json and compare the two files with analyze check in another folder"
        ) from None
    config.pluginmanager.register(pytest_plugin)
