"""The system's Chromium or Chrome, driven by Playwright; tests are skipped if either is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from analyzer.records.record import Record
from analyzer.records.record_json import dump
from reports.page.build import page
from reports.page.write import html

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The first browser found, or the one at BROWSER_PATH."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`file("googlenet", "alexnet")`: the page of these networks or records as a file, written once."""
    folder = tmp_path_factory.mktemp("pages")
    written: dict[Any, Path] = {}

    def make(*networks: str | Record, charts: Any = "embed") -> Path:
        name = tuple(network if isinstance(network, str) else dump([network]) for network in networks)
        if (name, charts) not in written:
            records = [
                network if isinstance(network, Record) else count_variant(variant(network), memory=True)
                for network in networks
            ]
            path = folder / f"{len(written)}.html"
            path.write_text(html(page(records), charts), encoding="utf-8")
            written[name, charts] = path
        return written[name, charts]

    return make


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """`show(path, width=390, dark=True)`: the open page; its requests, errors and console messages are in `.events`."""
    contexts = []

    def open_page(
        path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True, at: str = ""
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            accept_downloads=True,
        )
        contexts.append(context)
        opened = context.new_page()
        opened.events = []
        opened.on("console", lambda message: opened.events.append(f"console: {message.text}"))
        opened.on("pageerror", lambda error: opened.events.append(f"error: {error}"))
        opened.on("request", lambda request: _record_request(opened, request.url, path))
        opened.goto(f"{path.as_uri()}{at}")
        return opened

    yield open_page
    for context in contexts:
        context.close()


def _record_request(opened: Any, url: str, path: Path) -> None:
    if not url.startswith(("blob:", "data:")) and url.partition("#")[0] != path.as_uri():
        opened.events.append(f"request: {url}")
