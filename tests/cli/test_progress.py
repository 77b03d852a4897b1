"""Progress: a spinner or bar on a terminal only, after a delay; a line a minute in a log."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from analyzer.cli.output import spinner
from analyzer.cli.progress import Log, Steps, bar, delayed_spinner, progress_bar


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=60)


@pytest.fixture
def started(monkeypatch):
    """An event that is set when a spinner appears."""
    event = threading.Event()
    monkeypatch.setattr("rich.status.Status.start", lambda status: event.set())
    return event


def test_the_spinner_appears_after_the_delay(started):
    with delayed_spinner("counting", terminal(), delay_s=0):
        assert started.wait(30)


def test_an_error_before_the_delay_propagates_without_a_spinner(started):
    threads = threading.active_count()
    with pytest.raises(ValueError, match="mine"), delayed_spinner("counting", terminal(), delay_s=3600):
        raise ValueError("mine")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(30)
    assert threading.active_count() <= threads
    assert not started.is_set()


def test_without_a_terminal_there_is_no_spinner(capsys, started, monkeypatch):
    monkeypatch.setattr("analyzer.cli.progress.DELAY_S", 0)
    with spinner("counting", when=True):
        print("a print of the model")
    assert not started.is_set()
    assert capsys.readouterr() == ("", "a print of the model\n")


def test_a_bar_shows_its_step_count_beside_a_long_label():
    console = terminal()
    with bar(console) as progress:
        label = "googlenet-no-reduction, batch 8, 2 threads, channels_last, training"
        progress.add_task(label, completed=3, total=100)
    shown = console.file.getvalue()
    assert "3/100" in shown
    assert "googlenet-no-reduct" in shown
    assert "…" in shown


def test_a_step_is_drawn_at_once_unless_another_was_just_drawn():
    """The bar itself is redrawn every two seconds only."""
    console, drawn = terminal(), []
    seconds = iter([0.0, 0.05, 0.2, 0.2, 0.25, 9.0, 9.0])
    with bar(console) as progress:
        steps = Steps(progress, "timing", now=lambda: next(seconds))
        for label in ("soon", "later", "again", "late"):
            steps.report(0, 10, f"{label} shown")
            drawn.append(f"{label} shown" in console.file.getvalue())
    assert drawn == [False, True, False, True]


@pytest.mark.parametrize("name", ["d[/x]/net.py:Net", "n[bold].py:Net"])
def test_labels_are_not_markup(name):
    consoles = terminal(), terminal()
    with bar(consoles[0]) as progress:
        progress.add_task(name, total=1)
    with delayed_spinner(name, consoles[1], delay_s=0):
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join(30)
    assert all(name in console.file.getvalue() for console in consoles)


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


def test_a_log_estimates_the_time_left(capsys):
    """Ten of 100 steps in 120 s; 20 were done before."""
    seconds = iter([0.0, 0.0, 120.0])
    log = Log("sweep", now=lambda: next(seconds))
    log.report(20, 120, "before")
    log.report(30, 120, "now")
    assert "30 of 120 done, about 18 min left" in capsys.readouterr().err
