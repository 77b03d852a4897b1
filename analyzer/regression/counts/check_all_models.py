"""The result of a check of counts, and the baseline that an update writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.records.note import is_strict
from analyzer.records.record_json import record_to_json
from analyzer.records.rows import TRAINING_KEYS
from analyzer.regression.counts.baseline_json import Baseline
from analyzer.regression.counts.compare_with_baseline import compare
from analyzer.regression.counts.models_to_check import Candidate
from analyzer.regression.counts.snapshot import MODES, Snapshot, reduced, snapshot
from analyzer.regression.outcome import CheckResult, Key, ModelCheck
from analyzer.regression.tolerances import ANY, Detail, Tolerances, detail_of

REMOVED = "it is in the baseline and no longer among the models"
NEW = "it is not in the baseline"


class CountsResult(CheckResult):
    """`baseline` is the file's name as shown to the user; `exists`: whether the file existed before the check."""

    candidates: tuple[Candidate, ...] = ()
    baseline: str = ""
    exists: bool = True
    tolerances: Tolerances = Tolerances()

    @property
    def uncertain(self) -> bool:
        notes = (note for candidate in self.candidates for note in candidate.notes)
        return super().uncertain or any(map(is_strict, notes))

    def json_fields(self) -> dict[str, Any]:
        return {
            "baseline": {"path": self.baseline, "exists": self.exists, "updated": self.updated},
            "tolerance": self.tolerances.metrics.get(ANY, 0.0),
            "models": [_check_to_json(check) for check in self.checks],
            "records": [record_to_json(record) for model in self.candidates for record in model.records.values()],
        }


def compare_all(
    candidates: Sequence[Candidate],
    baseline: Baseline | None,
    *,
    tolerances: Tolerances,
    budgets: Mapping[str, Mapping[str, float]],
    all_models: bool,
) -> tuple[ModelCheck, ...]:
    """Compares every candidate with the baseline.

    With `all_models` the candidates are all models of the project, so that further models of the baseline were removed.
    """
    checks = []
    for candidate in candidates:
        model, error = candidate.model, candidate.error
        before, after = (baseline or {}).get(model, {}), snapshots(candidate)
        limits = budgets.get(model, {})
        for mode in MODES:
            # A mode that neither side has is left out, unless the model would then have no line at all.
            required = "training" if any(metric in TRAINING_KEYS for metric in limits) else "inference"
            if mode not in before and mode not in after and mode != required:
                continue
            if error:
                reason = f"it cannot be counted: {error}"
            else:
                reason = NEW if mode not in before else "" if mode in after else f"it cannot be counted in {mode} now"
            sides = before.get(mode), after.get(mode)
            checks.append(
                compare(
                    model,
                    mode,
                    *sides,
                    tolerance=tolerances.of_model(model),
                    budgets=limits,
                    reason=reason,
                    error=error,
                )
            )
    if all_models:
        names = {candidate.model for candidate in candidates}
        checks += [
            compare(model, mode, modes[mode], None, reason=REMOVED, removed=True)
            for model, modes in (baseline or {}).items()
            if model not in names
            for mode in MODES
            if mode in modes
        ]
    return tuple(checks)


def snapshots(candidate: Candidate, detail: str = "layers") -> dict[str, Snapshot]:
    return {mode: reduced(snapshot(record), detail) for mode, record in candidate.records.items()}


def updated_baseline(
    candidates: Sequence[Candidate],
    baseline: Baseline | None,
    *,
    all_models: bool,
    details: Mapping[str, Detail] = {},
) -> Baseline:
    """A model that cannot be counted keeps its old counts. With `all_models`, models that were removed are dropped."""
    before = baseline or {}
    kept = {candidate.model for candidate in candidates if candidate.error} if all_models else set(before)
    return {
        **{model: modes for model, modes in before.items() if model in kept},
        **{
            candidate.model: snapshots(candidate, detail_of(candidate.model, details))
            for candidate in candidates
            if not candidate.error
        },
    }


def _check_to_json(check: ModelCheck) -> dict[str, Any]:
    return {
        "model": check.model,
        "mode": check.mode,
        "outcome": check.outcome,
        "reason": check.reason or None,
        "error": str(check.error) if check.error else None,
        "added": [_key_to_json(key) for key in check.added],
        "removed": [_key_to_json(key) for key in check.removed],
        "moved": [{"from": _key_to_json(old), "to": _key_to_json(new)} for old, new in check.moved],
        "unknown_ops": dict(check.unknown_ops),
    }


def _key_to_json(key: Key) -> dict[str, Any]:
    return dict(zip(("path", "op", "call"), key, strict=True))
