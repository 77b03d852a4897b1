"""Compares a model's snapshot with its baseline, layer by layer, and its totals with budgets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from analyzer.core.errors import AnalyzerError
from analyzer.core.shapes import shape_text
from analyzer.records.rows import TRAINING_KEYS
from analyzer.regression.counts.snapshot import LAYER_METRICS, MODEL_METRICS, Layer, Snapshot, reduced
from analyzer.regression.outcome import TOTAL, Change, Key, ModelCheck, Outcome

LAYERS = "layers"  # The metric of a change that only the digest of all layers shows; its values identify the layers.
Limit: TypeAlias = Callable[[str], Fraction]


def compare(
    model: str,
    mode: str,
    before: Snapshot | None,
    after: Snapshot | None,
    *,
    tolerance: Callable[[str], float] = lambda metric: 0.0,
    budgets: Mapping[str, float] | None = None,
    reason: str = "",
    error: AnalyzerError | None = None,
    removed: bool = False,
) -> ModelCheck:
    """All totals, and the kinds of operators and layers that differ. `reason` explains a missing side.

    `tolerance` is the relative growth that passes, by metric. Counts are compared in the detail that `before` has.

    `removed`: the model was taken off the list of models, as opposed to one that can no longer be counted.
    """
    changes = _check_budgets(model, mode, after, budgets or {})
    missing = error is None and (before is None or (after is None and removed))
    if before and after:
        reason = _input_difference(before, after)
    unknown_ops = after.unknown_ops if after else {}
    if before is None or after is None or reason:
        totals = _compare_totals(model, mode, before, after, None)
        return ModelCheck(model, (*totals, *changes), mode, reason, error, missing, unknown_ops=unknown_ops)

    def limit(metric: str) -> Fraction:
        return Fraction(repr(tolerance(metric)))  # The decimal as written: 10 % of 30 is 3, whereas 0.1 * 30 > 3.

    after = reduced(after, before.detail)
    added, removed_layers, moved = _match_layers(before.layers, after.layers)
    changes = [
        *_compare_totals(model, mode, before, after, limit),
        *changes,
        *_compare_kinds(model, mode, "calls", before.calls, after.calls, limit("calls")),
        *_compare_kinds(model, mode, "unknown_ops", before.unknown_ops, after.unknown_ops, Fraction(0)),
        *([] if before.detail == "totals" else _compare_layers(model, before, after, limit, moved)),
    ]
    if before.digest != after.digest and not any(change.differs for change in changes):
        changes.append(_hidden_change(model, before, after, limit))
    return ModelCheck(
        model, tuple(changes), mode, added=added, removed=removed_layers, moved=moved, unknown_ops=unknown_ops
    )


def classify(before: int, after: int, *, tolerance: Fraction, model_total: int) -> Outcome:
    """Growth above the tolerance regressed, any decrease improved.

    The tolerance is relative to `before`, or to the model's total where `before` is 0, as for an added layer.
    """
    if after < before:
        return "improved"
    return "regressed" if after - before > tolerance * (before or model_total) else "unchanged"


def _input_difference(before: Snapshot, after: Snapshot) -> str:
    """The reason why counts cannot be compared, or empty."""
    if before.input != after.input:
        return f"its input is {_sizes(after)}, but {_sizes(before)} in the baseline"
    if before.dtype != after.dtype:
        return f"its type is {after.dtype}, but {before.dtype} in the baseline"
    return ""


def _sizes(snapshot: Snapshot) -> str:
    return ", ".join(shape_text(shape) or "a number" for shape in snapshot.input) or "none"


def _compare_totals(
    model: str, mode: str, before: Snapshot | None, after: Snapshot | None, tolerance: Limit | None
) -> list[Change]:
    """A change per metric that either side has; incomparable if one side lacks it or without a `tolerance`."""
    old, new = (snapshot.totals if snapshot else {} for snapshot in (before, after))
    changes = []
    for metric in MODEL_METRICS:
        if metric in old or metric in new:
            values = old.get(metric), new.get(metric)
            outcome: Outcome = "incomparable"
            if tolerance is not None and metric in old and metric in new:
                outcome = classify(old[metric], new[metric], tolerance=tolerance(metric), model_total=0)
            changes.append(Change(model, TOTAL, metric, *values, outcome, mode))
    return changes


def _check_budgets(model: str, mode: str, after: Snapshot | None, budgets: Mapping[str, float]) -> list[Change]:
    """Budgets do not depend on baseline and tolerance: those of a backward pass in training, others at inference."""
    changes = []
    for metric, limit in budgets.items():
        if mode == ("training" if metric in TRAINING_KEYS else "inference"):
            value = after.totals.get(metric) if after else None
            outcome: Outcome = "incomparable" if value is None else "regressed" if value > limit else "unchanged"
            changes.append(Change(model, TOTAL, metric, None, value, outcome, mode, budget=limit))
    return changes


def _compare_kinds(
    model: str, mode: str, metric: str, before: Mapping[str, int], after: Mapping[str, int], tolerance: Fraction
) -> list[Change]:
    total = sum(before.values())
    changes = []
    for op in sorted({*before, *after}):
        old, new = before.get(op, 0), after.get(op, 0)
        if old != new:
            outcome = classify(old, new, tolerance=tolerance, model_total=total)
            changes.append(Change(model, TOTAL, metric, old, new, outcome, mode, op=op))
    return changes


def _hidden_change(model: str, before: Snapshot, after: Snapshot, tolerance: Limit) -> Change:
    """Some layers differ while every sum is equal: what one layer has more, others have less."""
    tolerated = any(tolerance(metric) for metric in LAYER_METRICS)
    outcome: Outcome = "unchanged" if tolerated else "regressed"
    first, second = (int(snapshot.digest, 16) % 10**6 for snapshot in (before, after))
    return Change(model, TOTAL, LAYERS, first, second, outcome, after.mode)


def _match_layers(
    before: Sequence[Layer], after: Sequence[Layer]
) -> tuple[tuple[Key, ...], tuple[Key, ...], tuple[tuple[Key, Key], ...]]:
    """Added, removed and moved layers. Equal layers are matched in their order."""
    old, new = {layer.key for layer in before}, {layer.key for layer in after}
    unmatched: dict[tuple[object, ...], list[Key]] = {}
    for layer in before:
        if layer.key not in new:
            unmatched.setdefault(_content(layer), []).append(layer.key)
    added, moved = [], []
    for layer in after:
        if layer.key not in old:
            if candidates := unmatched.get(_content(layer)):
                moved.append((candidates.pop(0), layer.key))
            else:
                added.append(layer.key)
    removed = {key for keys in unmatched.values() for key in keys}
    return tuple(added), tuple(layer.key for layer in before if layer.key in removed), tuple(moved)


def _content(layer: Layer) -> tuple[object, ...]:
    return layer.op, *(layer.counts.get(metric, 0) for metric in LAYER_METRICS)


def _compare_layers(
    model: str, before: Snapshot, after: Snapshot, tolerance: Limit, moved: Sequence[tuple[Key, Key]]
) -> list[Change]:
    """Every count of every layer that differs, in the order of the run; removed layers last."""
    old, new = ({layer.key: layer.counts for layer in snapshot.layers} for snapshot in (before, after))
    moved_keys = {key for pair in moved for key in pair}
    totals = before.totals
    changes = []
    for key in dict.fromkeys([*new, *old]):
        if key in moved_keys:
            continue
        path, op, call = key
        for metric in LAYER_METRICS:
            first, second = old.get(key, {}).get(metric, 0), new.get(key, {}).get(metric, 0)
            if first != second:
                outcome = classify(first, second, tolerance=tolerance(metric), model_total=totals.get(metric, 0))
                values = first if key in old else None, second if key in new else None
                changes.append(Change(model, path, metric, *values, outcome, after.mode, op=op, call=call))
    return changes
