"""A spinner for long work: on standard error, only on a terminal, only after two seconds."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console

PATIENCE_S = 2.0


class Progress:
    """`with Progress("verifying googlenet"):` – shows itself if the block takes longer than two seconds."""

    def __init__(self, description: str, console: Console | None = None, *, patience_s: float = PATIENCE_S) -> None:
        self.console = console or Console(stderr=True)
        self.status = self.console.status(description)
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

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        # Every two seconds: what is measured next door must not be disturbed.
        self.progress = Progress(
            *columns, console=console or Console(stderr=True), transient=True, refresh_per_second=0.5
        )
        self.task = self.progress.add_task(description, total=None)

    def tell(self, done: int, of: int, label: str) -> None:
        self.progress.update(self.task, completed=done, total=of, description=label)

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self.progress.stop()
