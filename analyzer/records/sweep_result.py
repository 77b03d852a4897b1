"""The configurations of a sweep and their results, as the sweep, the history database and reports exchange them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import model_label, overrides_text
from analyzer.records.record import Record
from analyzer.records.timings import Configuration

Measure: TypeAlias = Literal["counts", "memory", "time"]
MEASURES: tuple[Measure, ...] = ("counts", "memory", "time")


class Case(Frozen):
    """One configuration of a sweep: a model, how it runs, and what is measured of it.

    `model` is as on the command line, without overrides. `inputs` are without the batch. The device, dtype, layout and
    threads of `configuration` concern timing. `budget_s` is for all `processes` of a timed case. `needs` are patterns
    for the worker's machine: `{"gpu": "H100", "cpu": "AMD*"}`.
    """

    model: str
    overrides: Mapping[str, int] = {}
    inputs: tuple[str, ...] = ()
    configuration: Configuration = Configuration()
    measure: tuple[Measure, ...] = ("counts",)
    budget_s: float = 20.0
    processes: int = 3
    needs: Mapping[str, str] = {}

    @property
    def label(self) -> str:
        """The model with its overrides, as in a record."""
        return model_label(self.model, overrides_text(self.overrides))


class Result(Frozen):
    """What became of a case: its record, or the reason why there is none.

    `key` identifies the result in a database, which stores each key once. `run` is the sweep's or the timed run's name,
    `host` the machine's; `started` and `ended` are UTC (ISO 8601, with milliseconds).
    """

    key: str
    case: Case
    status: Literal["ok", "failed"]
    reason: str = ""
    record: Record | None = None
    run: str = ""
    host: str = ""
    started: str = ""
    ended: str = ""
    attempts: int = 1
