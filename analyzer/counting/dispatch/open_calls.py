"""The calls in progress on one thread, which decide to which row an operator belongs, and the rows so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from analyzer.counting.dispatch.module_tracker import Calls
from analyzer.counting.dispatch.row_producers import NO_WINDOW, Window
from analyzer.counting.dispatch.tensors import bytes_of
from analyzer.counting.dispatch.traffic import Part
from analyzer.counting.operators.call import Work
from analyzer.records.rows import Row


@dataclass(slots=True)
class Frame:
    """A call in progress, of a module or of a composite operator. If `folds` is set, its operators become one row."""

    op: str
    folds: bool
    has_formula: bool = False
    ran: bool = False  # Views alone leave it False: they move no data.
    works: list[Work] = field(default_factory=list)
    window: Window = NO_WINDOW
    parts: dict[int, Part] = field(default_factory=dict)  # Tensors read in part, such as an embedding's table.

    def total(self) -> Work:
        if len(self.works) == 1:
            return self.works[0]
        return Work(sum(work.macs for work in self.works), sum(work.flops for work in self.works))

    def add(self, work: Work, parts: dict[int, Part], window: Window = NO_WINDOW) -> None:
        """Adds an operator that ran within the call."""
        self.ran = True
        self.works.append(work)
        if window.kernel and self.op.startswith(("conv", "avg_pool", "max_pool")):
            self.window = window
        for storage, part in parts.items():
            if not part.read:  # Overwritten, perhaps after another operator read it.
                continue
            before = self.parts[storage].read if storage in self.parts else 0
            self.parts[storage] = part._replace(read=min(before + part.read, bytes_of(part.tensor)))


class RowCalls(Calls):
    """The rows of one thread so far, and the stack of its calls that decides to which row the next operator belongs."""

    def __init__(self, path: str, *, foreign: bool = False) -> None:
        super().__init__(path, foreign=foreign)
        self.frames = [Frame("", folds=False)]
        self.rows: list[Row] = []
        self.tasks: list[tuple[int, RowCalls]] = []  # Work given to other threads, and the number of rows before it.

    def all_rows(self) -> list[Row]:
        """All rows; the rows of a task are inserted where the task was submitted, however threads were scheduled."""
        rows, start = [], 0
        for index, task in self.tasks:
            rows += self.rows[start:index] + task.all_rows()
            start = index
        return rows + self.rows[start:]
