"""The spinner: only on a terminal, only when patience has run out, gone when the work is done."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from analyzer.cli.progress import Bar, Log, Spinner, progress_bar


@pytest.fixture
def started(monkeypatch):
    """An event that is set when a spinner shows itself."""
    event = threading.Event()
    monkeypatch.setattr("rich.status.Status.start", lambda status: event.set())
    return event


def test_it_shows_itself_when_patience_has_run_out(started):
    with Spinner("counting", Console(file=io.StringIO(), force_terminal=True), delay_s=0):
        assert started.wait(30)


def test_work_that_ends_in_time_shows_nothing(started):
    with Spinner("counting", Console(file=io.StringIO(), force_terminal=True), delay_s=3600) as progress:
        assert progress.timer.is_alive()
    progress.timer.join(30)
    assert not progress.timer.is_alive()
    assert not started.is_set()


def test_no_terminal_no_spinner(started):
    with Spinner("counting", Console(file=io.StringIO()), delay_s=0) as progress:
        assert not progress.timer.is_alive()
    assert not started.is_set()


def test_an_error_passes_through_and_the_spinner_is_gone(started):
    progress = Spinner("counting", Console(file=io.StringIO(), force_terminal=True), delay_s=3600)
    with pytest.raises(ValueError, match="mine"), progress:
        raise ValueError("mine")
    progress.timer.join(30)
    assert not progress.timer.is_alive()


def test_nothing_is_written_by_default_where_standard_error_is_no_terminal(capsys):
    with Spinner("counting", delay_s=0):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_how_far_it_is_however_long_the_name_of_what_is_under_way():
    page = io.StringIO()
    with Bar("timing", Console(file=page, force_terminal=True, width=60)) as bar:
        bar.report(3, 100, "googlenet-no-reduction, batch 8, 2 threads, channels_last, training")
        bar.progress.refresh()
    shown = page.getvalue()
    assert "3/100" in shown
    assert "googlenet-no-reduct" in shown
    assert "…" in shown


@pytest.mark.parametrize("name", ["d[/x]/net.py:Net", "n[bold].py:Net"])
def test_a_name_is_no_markup(name):
    page = io.StringIO()
    with Bar("timing", Console(file=page, force_terminal=True, width=100)) as bar:
        bar.report(0, 1, name)
        bar.progress.refresh()
    assert name in page.getvalue()
    page = io.StringIO()
    with Spinner(name, Console(file=page, force_terminal=True, width=100), delay_s=0) as progress:
        progress.timer.join(30)
    assert name in page.getvalue()


def test_a_log_has_a_line_a_minute(capsys):
    """Told each 25 s: what is told at 75 s and at 150 s is a line, the rest is none."""
    seconds = iter(range(0, 200, 25))
    log = Log("timing", now=lambda: float(next(seconds)))
    for done in range(6):
        log.report(done, 6, f"model {done}")
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "analyze: timing: 2 of 6 done, now model 2",
        "analyze: timing: 5 of 6 done, now model 5",
    ]


def test_steps_are_silent_where_work_is_short(capsys):
    with progress_bar("timing") as tell:
        tell(0, 2, "one")
        tell(1, 2, "two")
    assert capsys.readouterr().err == ""
