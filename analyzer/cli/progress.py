"""How far long work is, on standard error: a spinner or a bar on a terminal, now and then a line in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from analyzer.cli.messages import say

PATIENCE_S = 2.0  # Shorter work shows nothing.
EVERY_S = 60.0  # In a log.

Tell: TypeAlias = Callable[[int, int, str], None]  # How many of how many are done, and what is under way.


@contextmanager
def steps(description: str) -> Iterator[Tell]:
    """For work of known length."""
    if sys.stderr is not None and sys.stderr.isatty():
        with Bar(description) as bar:
            yield bar.tell
    else:
        yield Log(description).tell


class Progress:
    """`with Progress("verifying googlenet"):` – shows itself if the block takes longer than two seconds."""

    def __init__(self, description: str, console: Console | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.console = console or Console(stderr=True)
        self.status = self.console.status(Text(description))  # A name of a file is no markup.
        self.timer = threading.Timer(patience_s, self.status.start)
        self.timer.daemon = True

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.timer.cancel()
        self.status.stop()


class Bar:
    """A bar for work of known length: how many of how many are done, what is under way, how long it may take."""

    def __init__(self, description: str, console: Console | None = None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        # What is under way comes last and gives way: a terminal too narrow must not cut off how far it is.
        label = TextColumn(
            "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        )
        columns = BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), label
        # Every two seconds: what is measured next door must not be disturbed.
        self.progress = Progress(
            *columns, console=console or Console(stderr=True), transient=True, refresh_per_second=0.5, expand=True
        )
        self.task = self.progress.add_task(description, total=None)

    def tell(self, done: int, of: int, label: str) -> None:
        self.progress.update(self.task, completed=done, total=of, description=label)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self.progress.stop()


class Log:
    """Where nobody watches, as in a job of CI: a line when something begins, once a minute at most. There long silence
    looks like a hang."""

    def __init__(self, description: str, now: Callable[[], float] = time.monotonic) -> None:
        self.description, self.now, self.last = description, now, now()

    def tell(self, done: int, of: int, label: str) -> None:
        now = self.now()
        if now - self.last >= EVERY_S:
            self.last = now
            say(f"{self.description}: {done} of {of} done, now {label}")
