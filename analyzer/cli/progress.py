"""Progress of long work on standard error: a spinner or a bar on a terminal, at most a line a minute in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from analyzer.cli.messages import print_message

DELAY_S = 2.0  # Shorter work shows no spinner.
LOG_INTERVAL_S = 60.0

Report: TypeAlias = Callable[[int, int, str], None]  # (steps done, steps in total, label of the current step)


@contextmanager
def progress_bar(description: str) -> Iterator[Report]:
    """For work with a known number of steps; yields the function to call before each step."""
    if sys.stderr is not None and sys.stderr.isatty():
        with Bar(description) as bar:
            yield bar.report
    else:
        yield Log(description).report


class Spinner:
    """`with Spinner("verifying googlenet"):` shows a spinner if the block takes longer than two seconds."""

    def __init__(self, description: str, console: Console | None = None, *, delay_s: float = DELAY_S) -> None:
        self.console = console or Console(stderr=True)
        self.status = self.console.status(Text(description))  # Text, since a file name may contain markup.
        self.timer = threading.Timer(delay_s, self.status.start)
        self.timer.daemon = True

    def __enter__(self) -> Spinner:
        if self.console.is_terminal:
            self.timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.timer.cancel()
        self.status.stop()


class Bar:
    """A progress bar: steps done and in total, the remaining time, and the current step."""

    def __init__(self, description: str, console: Console | None = None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        # The label is the only column that shrinks, so that a narrow terminal still shows the step count.
        label = TextColumn(
            "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        )
        columns = BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), label
        # Redrawn every two seconds only: drawing uses CPU time while another process is being timed.
        self.progress = Progress(
            *columns, console=console or Console(stderr=True), transient=True, refresh_per_second=0.5, expand=True
        )
        self.task = self.progress.add_task(description, total=None)

    def report(self, done: int, total: int, label: str) -> None:
        self.progress.update(self.task, completed=done, total=total, description=label)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()


class Log:
    """For logs such as CI's: a line at most once a minute, so that long work is not mistaken for a hang."""

    def __init__(self, description: str, now: Callable[[], float] = time.monotonic) -> None:
        self.description, self.now, self.last_s = description, now, now()

    def report(self, done: int, total: int, label: str) -> None:
        now_s = self.now()
        if now_s - self.last_s >= LOG_INTERVAL_S:
            self.last_s = now_s
            print_message(f"{self.description}: {done} of {total} done, now {label}")
