"""Progress: a spinner or bar on a terminal only, after a delay; a line a minute in a log."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from analyzer.cli.progress import Bar, Log, Spinner, progress_bar


@pytest.fixture
def started(monkeypatch):
    """An event that is set when a spinner appears."""
    event = threading.Event()
    monkeypatch.setattr("rich.status.Status.start", lambda status: event.set())
    return event


def test_the_spinner_appears_after_the_delay(started):
    with Spinner("counting", Console(file=io.StringIO(), force_terminal=True), delay_s=0):
        assert started.wait(30)


def test_short_work_shows_no_spinner(started):
    with Spinner("counting", Console(file=io.StringIO(), force_terminal=True), delay_s=3600) as spinner:
        assert spinner.timer.is_alive()
    spinner.timer.join(30)
    assert not spinner.timer.is_alive()
    assert not started.is_set()


def test_without_a_terminal_there_is_no_spinner(started):
    with Spinner("counting", Console(file=io.StringIO()), delay_s=0) as spinner:
        assert not spinner.timer.is_alive()
    assert not started.is_set()


def test_an_error_propagates_and_stops_the_spinner(started):
    spinner = Spinner("counting", Console(file=io.StringIO(), force_terminal=True), delay_s=3600)
    with pytest.raises(ValueError, match="mine"), spinner:
        raise ValueError("mine")
    spinner.timer.join(30)
    assert not spinner.timer.is_alive()


def test_a_spinner_writes_nothing_if_standard_error_is_not_a_terminal(capsys):
    with Spinner("counting", delay_s=0):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_its_step_count_beside_a_long_label():
    page = io.StringIO()
    with Bar("timing", Console(file=page, force_terminal=True, width=60)) as bar:
        bar.report(3, 100, "googlenet-no-reduction, batch 8, 2 threads, channels_last, training")
        bar.progress.refresh()
    shown = page.getvalue()
    assert "3/100" in shown
    assert "googlenet-no-reduct" in shown
    assert "…" in shown


@pytest.mark.parametrize("name", ["d[/x]/net.py:Net", "n[bold].py:Net"])
def test_labels_are_not_markup(name):
    page = io.StringIO()
    with Bar("timing", Console(file=page, force_terminal=True, width=100)) as bar:
        bar.report(0, 1, name)
        bar.progress.refresh()
    assert name in page.getvalue()
    page = io.StringIO()
    with Spinner(name, Console(file=page, force_terminal=True, width=100), delay_s=0) as spinner:
        spinner.timer.join(30)
    assert name in page.getvalue()


def test_a_log_has_a_line_per_minute(capsys):
    """With a report each 25 s, those at 75 s and at 150 s are printed."""
    seconds = iter(range(0, 200, 25))
    log = Log("timing", now=lambda: float(next(seconds)))
    for done in range(6):
        log.report(done, 6, f"model {done}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["2", "5"]
    assert "2 of 6" in lines[0]


def test_short_work_logs_nothing(capsys):
    with progress_bar("timing") as report:
        report(0, 2, "first")
        report(1, 2, "second")
    assert capsys.readouterr().err == ""
