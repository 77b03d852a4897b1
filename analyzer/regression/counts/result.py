"""Everything that one check found, and what it exits with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.regression.counts.baseline import Baseline
from analyzer.regression.counts.candidates import Candidate
from analyzer.regression.counts.gate import MODES, TOTAL, Held, hold
from analyzer.regression.counts.snapshot import Snapshot, snapshot
from analyzer.regression.verdict import Verdict, worst

GONE = "it is in the baseline and no longer among the models"
NEW = "it is not in the baseline"


class Result(Frozen):
    """What was held against what. `baseline` is the file as a person names it; `exists` whether it was there.

    `errors` has the exit status of each model that could not be counted. With `updated`, differences were accepted.
    """

    held: tuple[Held, ...]
    candidates: tuple[Candidate, ...]
    baseline: str
    exists: bool
    tolerance: float = 0.0
    updated: bool = False

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(verdict for one in self.held for verdict in one.verdicts)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.model for one in self.held))

    @property
    def errors(self) -> Mapping[str, int]:
        return {one.model: one.error.exit_status for one in self.candidates if one.error}

    @property
    def failures(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if self.fails(verdict))

    def fails(self, verdict: Verdict) -> bool:
        """Growth that was not accepted, or a budget, which an update does not change."""
        return verdict.outcome == "regressed" and not (self.updated and verdict.budget is None)

    @property
    def status(self) -> str:
        """The envelope's word: failed, partial where a model could not be counted or compared, else ok."""
        if self.failures:
            return "failed"
        return "partial" if self.errors or self.unjudged else "ok"

    @property
    def unjudged(self) -> bool:
        """Whether a figure could not be judged: those of two inputs side by side, or a budget without a figure."""
        return any(
            verdict.outcome == "incomparable" and (verdict.budget is not None or not (one.missing or self.updated))
            for one in self.held
            for verdict in one.verdicts
        )

    def of(self, model: str) -> tuple[Held, ...]:
        return tuple(one for one in self.held if one.model == model)

    def outcome(self, model: str) -> str:
        return worst(one.outcome for one in self.of(model))


def held(
    candidates: Sequence[Candidate],
    baseline: Baseline | None,
    *,
    tolerance: float,
    budgets: Mapping[str, Mapping[str, float]],
    whole: bool,
) -> tuple[Held, ...]:
    """Every candidate held against the baseline. `whole`: these are all models, so that others of it are gone."""
    found = []
    for one in candidates:
        before, after = (baseline or {}).get(one.model, {}), snapshots(one)
        limits = budgets.get(one.model, {})
        for mode in MODES:
            reason = f"it cannot be counted: {one.error}" if one.error else NEW if mode not in before else ""
            # A mode without figures on either side says nothing, unless it is all that there is to say.
            if mode in before or mode in after or mode == (MODES[1] if "backward_macs" in limits else MODES[0]):
                pair = before.get(mode), after.get(mode)
                reason = reason or ("" if mode in after else f"it can no longer be counted in {mode}")
                found.append(hold(one.model, mode, *pair, tolerance=tolerance, budgets=limits, reason=reason))
    named = {one.model for one in candidates}
    for model, modes in (baseline or {}).items() if whole else ():
        if model not in named:
            found += [hold(model, mode, modes[mode], None, reason=GONE, gone=True) for mode in MODES if mode in modes]
    return tuple(found)


def snapshots(one: Candidate) -> dict[str, Snapshot]:
    return {mode: snapshot(record) for mode, record in one.records.items()}


def merged(candidates: Sequence[Candidate], baseline: Baseline | None, *, whole: bool) -> Baseline:
    """The baseline as an update leaves it: what could not be counted stays, what is gone goes if these are all."""
    before = baseline or {}
    kept = {one.model for one in candidates if one.error} if whole else set(before)
    return {
        **{model: modes for model, modes in before.items() if model in kept},
        **{one.model: snapshots(one) for one in candidates if not one.error},
    }


def exit_status(result: Result, *, strict: bool) -> int:
    """1 a figure regressed; 2 or 3 a model could not be counted or compared; 3 under `strict` without a counterpart."""
    if result.failures or (strict and any(one.unknown_ops for one in result.held)):
        return 1
    if result.errors:
        return min(result.errors.values())
    if result.unjudged:
        return 3
    return 3 if strict and not result.updated and any(one.missing for one in result.held) else 0


def differing(one: Held) -> tuple[Verdict, ...]:
    """The totals that differ and the budgets that are not kept."""
    return tuple(
        v
        for v in one.verdicts
        if v.path == TOTAL
        and not v.call
        and not v.op
        and (v.differs or (v.budget is not None and v.outcome != "unchanged"))
    )
