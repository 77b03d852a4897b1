"""The result of any check: the changes, their outcomes, and the exit status that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.core.printable_results import Displayed

Outcome: TypeAlias = Literal["regressed", "improved", "unchanged", "inconclusive", "incomparable"]
# A group has the first of its outcomes in this order. Counts are never inconclusive; times can be.
PRECEDENCE: tuple[Outcome, ...] = ("regressed", "incomparable", "inconclusive", "improved", "unchanged")

TOTAL = "total"  # The path of a change that concerns the whole model.
Key: TypeAlias = tuple[str, str, int]  # An operator of a model: path, operator, call.


class Change(Frozen):
    """One metric before and after: a count, or a time in seconds.

    `path` is `total`, or a layer's path with its `op` and `call`; `op` without `call` is a kind of operator. A missing
    value is None, never 0. `low` and `high` bound the ratio of measured values. `budget` is the limit that `after` was
    compared with instead of a baseline. `paired_ratio` is the ratio estimated from pairs, which excludes the machine's
    drift between `before` and `after`.
    """

    model: str
    path: str
    metric: str
    before: float | None
    after: float | None
    outcome: Outcome
    mode: str = "inference"
    op: str = ""
    call: int = 0
    low: float | None = None
    high: float | None = None
    budget: float | None = None
    paired_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        """After ÷ before; None if either is missing or before is 0."""
        if self.paired_ratio is not None:
            return self.paired_ratio
        return None if self.after is None or not self.before else self.after / self.before

    @property
    def differs(self) -> bool:
        """Whether the values before and after differ. A budget has only one value."""
        return self.budget is None and self.before != self.after

    @property
    def over_budget(self) -> bool:
        """Whether a budget is exceeded, or the value to compare with it is missing."""
        return self.budget is not None and self.outcome != "unchanged"


class ModelCheck(Frozen):
    """One model in one mode, or one benchmark, compared with its base.

    `reason` explains why values are incomparable or inconclusive. `missing`: only one side has the model, so there is
    nothing to compare. `error`: it could not be counted or timed. `added` and `removed` layers have no counterpart;
    `moved` layers have equal counts under another path.
    """

    model: str
    changes: tuple[Change, ...]
    mode: str = "inference"
    reason: str = ""
    error: AnalyzerError | None = None
    missing: bool = False
    added: tuple[Key, ...] = ()
    removed: tuple[Key, ...] = ()
    moved: tuple[tuple[Key, Key], ...] = ()
    unknown_ops: Mapping[str, int] = {}

    @property
    def outcome(self) -> Outcome:
        outcomes = [change.outcome for change in self.changes]
        return worst(["incomparable", *outcomes] if self.error or self.missing else outcomes)

    @property
    def differs(self) -> bool:
        """Whether there is a change to show by layer or kind of operator."""
        compared = not self.reason and any(change.differs for change in self.changes)
        return compared or bool(self.added or self.removed or self.moved)


class CheckResult(Displayed, Frozen):
    """The result of every check, and the input of every renderer in `reports.regression`.

    `updated`: differences were accepted into the baseline. `incomparable` is the reason if nothing at all can be
    compared.
    """

    title: ClassVar[str] = "Check"
    suite: ClassVar[str] = "analyze check"  # The name of the JUnit test suite.
    action: ClassVar[str] = "counted"  # What failed if a ModelCheck has an error.

    checks: tuple[ModelCheck, ...] = ()
    updated: bool = False
    incomparable: str = ""

    def _summary(self) -> str:
        return f"{self.status}: " + ", ".join(f"{model} {self.outcome(model)}" for model in self.models)

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for check in self.checks for change in check.changes)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check.model for check in self.checks))

    @property
    def failures(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if self.fails(change))

    @property
    def errors(self) -> tuple[AnalyzerError, ...]:
        return tuple(check.error for check in self.checks if check.error)

    @property
    def inconclusive(self) -> bool:
        """Whether some times were measured and show neither a change nor its absence."""
        return any(check.outcome == "inconclusive" for check in self.checks)

    @property
    def uncertain(self) -> bool:
        """Whether a count may be wrong, such as for operators without a formula."""
        return any(check.unknown_ops for check in self.checks)

    @property
    def undecided(self) -> bool:
        """Whether values that should be comparable are not: inputs differ, or a budget has no value."""
        return bool(self.incomparable) or any(
            change.outcome == "incomparable" and (change.budget is not None or not (check.missing or self.updated))
            for check in self.checks
            for change in check.changes
        )

    @property
    def status(self) -> str:
        """The envelope's status: failed, partial if a model could not be counted, timed or compared, else ok."""
        if self.failures:
            return "failed"
        return "partial" if self.errors or self.undecided else "ok"

    def fails(self, change: Change) -> bool:
        """Growth that was not accepted. An update never accepts an exceeded budget."""
        return change.outcome == "regressed" and not (self.updated and change.budget is None)

    def of(self, model: str) -> tuple[ModelCheck, ...]:
        return tuple(check for check in self.checks if check.model == model)

    def outcome(self, model: str) -> Outcome:
        return worst(check.outcome for check in self.of(model))

    def json_fields(self) -> dict[str, Any]:
        """The keys of the JSON that only this kind of check has."""
        return {}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a group: regressed before everything else; unchanged for an empty group."""
    return min(outcomes, key=PRECEDENCE.index, default="unchanged")


def exit_status(result: CheckResult, *, strict: bool) -> int:
    """1 regressed; 2 or 3 a model cannot be counted, timed or compared; 4 inconclusive under `strict`.

    Under `strict` also 1 for a count that may be wrong, and 3 for a model or benchmark that one side lacks.
    """
    if result.failures or (strict and result.uncertain):
        return 1
    if result.errors:
        return min(error.exit_status for error in result.errors)
    if result.undecided or (strict and not result.updated and any(check.missing for check in result.checks)):
        return 3
    return 4 if strict and result.inconclusive else 0
