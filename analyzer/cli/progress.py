"""Progress of long work on standard error: a spinner or a bar on a terminal, at most a line a minute in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console
from rich.text import Text

from analyzer.cli.messages import print_message

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY_S = 2.0  # Shorter work shows no spinner.
REDRAW_S = 0.1
LOG_INTERVAL_S = 60.0

Report: TypeAlias = Callable[[int, int, str], None]  # (steps done, steps in total, label of the current step)


@contextmanager
def delayed_spinner(description: str, console: Console | None = None, *, delay_s: float = DELAY_S) -> Iterator[None]:
    """Shows a spinner if the block takes longer than two seconds."""
    # Text, since a file name may contain markup.
    status = (console or Console(stderr=True)).status(Text(description))
    timer = threading.Timer(delay_s, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        status.stop()


@contextmanager
def progress_bar(description: str) -> Iterator[Report]:
    """For work with a known number of steps; yields the function to call for each step and label."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Log(description).report
        return
    with bar(Console(stderr=True)) as progress:
        yield Steps(progress, description).report


class Steps:
    """The steps of a bar. Each redraws it, unless another just did."""

    def __init__(self, progress: Progress, description: str, now: Callable[[], float] = time.monotonic) -> None:
        self.progress, self.now = progress, now
        self.task = progress.add_task(description, total=None)
        self.drawn_s = now()

    def report(self, done: int, total: int, label: str) -> None:
        due = self.now() - self.drawn_s >= REDRAW_S
        self.progress.update(self.task, completed=done, total=total, description=label, refresh=due)
        if due:
            self.drawn_s = self.now()


def bar(console: Console) -> Progress:
    """Steps done and in total, the elapsed and the remaining time, and the current step."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    # The label is the only column that shrinks, so that a narrow terminal still shows the step count.
    column = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    label = TextColumn("{task.description}", markup=False, table_column=column)
    # Otherwise redrawn every two seconds only: drawing uses CPU time while another process is being timed.
    return Progress(
        BarColumn(10), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), label,
        console=console, transient=True, refresh_per_second=0.5, expand=True,
    )  # fmt: skip


class Log:
    """For logs such as CI's: a line at most once a minute, so that long work is not mistaken for a hang."""

    def __init__(self, description: str, now: Callable[[], float] = time.monotonic) -> None:
        self.description, self.now = description, now
        self.last_s = self.first_s = now()
        self.first: int | None = None  # Steps that were done before.

    def report(self, done: int, total: int, label: str) -> None:
        now_s = self.now()
        self.first = done if self.first is None else self.first
        if now_s - self.last_s >= LOG_INTERVAL_S:
            self.last_s = now_s
            steps = done - self.first
            left_s = (total - done) * (now_s - self.first_s) / steps if steps > 0 else 0.0
            left = f", about {left_s / 60:.0f} min left" if left_s >= LOG_INTERVAL_S else ""
            print_message(f"{self.description}: {done} of {total} done{left}, now {label}")
