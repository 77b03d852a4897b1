"""Tables as lines on a terminal."""

from __future__ import annotations

import io

import pytest

from reports.formats.terminal import console, show


@pytest.fixture
def printed(monkeypatch):
    """`printed(tables, columns=80)`: the lines of the tables on a terminal."""

    def lines(tables, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        page = io.StringIO()
        show(tables, console(page))
        return page.getvalue().splitlines()

    return lines
