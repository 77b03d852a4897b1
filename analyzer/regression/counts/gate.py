"""The exact gate: a snapshot against its baseline, layer by layer, and totals against budgets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from analyzer.core.frozen import Frozen
from analyzer.regression.counts.snapshot import LAYER_METRICS, MODEL_METRICS, Key, Layer, Snapshot
from analyzer.regression.verdict import Figure, Outcome, Verdict, worst

TOTAL = "total"
MODES = ("inference", "training")


class Held(Frozen):
    """One model in one mode, held against its baseline and its budgets.

    `verdicts` has every total, and every kind of operator and layer that differs. `added` and `removed` layers have no
    counterpart; `moved` ones have the same figures under another path. `reason` says why figures are incomparable;
    `missing` if that is because the model is new, or gone from what is checked.
    """

    model: str
    mode: str
    verdicts: tuple[Verdict, ...]
    added: tuple[Key, ...] = ()
    removed: tuple[Key, ...] = ()
    moved: tuple[tuple[Key, Key], ...] = ()
    reason: str = ""
    missing: bool = False
    unknown_ops: Mapping[str, int] = {}

    @property
    def outcome(self) -> Outcome:
        outcomes = [verdict.outcome for verdict in self.verdicts]
        return worst(["incomparable", *outcomes] if self.reason else outcomes)

    @property
    def differs(self) -> bool:
        """Whether there is anything to show by layer or kind."""
        compared = not self.reason and any(verdict.differs for verdict in self.verdicts)
        return compared or bool(self.added or self.removed or self.moved)


def hold(
    model: str,
    mode: str,
    before: Snapshot | None,
    after: Snapshot | None,
    *,
    tolerance: float = 0.0,
    budgets: Mapping[str, float] | None = None,
    reason: str = "",
    gone: bool = False,
) -> Held:
    """Holds a model against its baseline. `reason` says why a side is None; settings that differ are found here.

    `gone`: it was taken off the list of what is checked, and did not merely fail to be counted.
    """
    spent = _budgets(model, mode, after, budgets or {})
    unknown = after.unknown_ops if after else {}
    if before is None or after is None:
        sides = _totals(model, mode, before, after, outcome="incomparable")
        missing = before is None or gone
        return Held(model, mode, (*sides, *spent), reason=reason, missing=missing, unknown_ops=unknown)
    if other := _other_settings(before, after):
        sides = _totals(model, mode, before, after, outcome="incomparable")
        return Held(model, mode, (*sides, *spent), reason=other, unknown_ops=unknown)
    slack = Fraction(repr(tolerance))  # As it was written: 0.1 is a tenth, so that 10 % of 30 is 3 and not a bit more.
    added, removed, moved = _unmatched(before.layers, after.layers)
    verdicts = (
        *_totals(model, mode, before, after, slack=slack),
        *spent,
        *_by_kind(model, mode, "calls", before.calls, after.calls, slack),
        *_by_kind(model, mode, "unknown_ops", before.unknown_ops, after.unknown_ops, Fraction(0)),
        *_by_layer(model, mode, before, after, slack, moved),
    )
    return Held(model, mode, verdicts, added, removed, moved, unknown_ops=unknown)


def judged(before: int | None, after: int | None, *, slack: Fraction, whole: int) -> Outcome:
    """Growth above the tolerance regressed, any decrease improved. What grows from nothing is measured by `whole`."""
    old, new = before or 0, after or 0
    if new < old:
        return "improved"
    return "regressed" if new - old > slack * (old or whole) else "unchanged"


def _other_settings(before: Snapshot, after: Snapshot) -> str:
    if before.input != after.input:
        return f"its input is {_sizes(after)}, and {_sizes(before)} in the baseline"
    if before.dtype != after.dtype:
        return f"it is {after.dtype}, and {before.dtype} in the baseline"
    return ""


def _sizes(one: Snapshot) -> str:
    return ", ".join("x".join(map(str, shape)) or "a number" for shape in one.input) or "none"


def _totals(
    model: str,
    mode: str,
    before: Snapshot | None,
    after: Snapshot | None,
    *,
    slack: Fraction = Fraction(0),
    outcome: Outcome | None = None,
) -> list[Verdict]:
    """A verdict a metric that either side has. One that only one side has, such as an unknown peak, is incomparable."""
    old, new = (one.totals if one else {} for one in (before, after))
    found = []
    for metric in MODEL_METRICS:
        if metric not in old and metric not in new:
            continue
        was, now = old.get(metric), new.get(metric)
        said = outcome
        if said is None:
            both = was is not None and now is not None
            said = judged(was, now, slack=slack, whole=0) if both else "incomparable"
        found.append(Verdict(model, TOTAL, metric, was, now, said, mode))
    return found


def _budgets(model: str, mode: str, after: Snapshot | None, budgets: Mapping[str, float]) -> list[Verdict]:
    """Budgets hold whatever the baseline and the tolerance are; that of the backward pass is one of training."""
    found = []
    for metric, limit in budgets.items():
        if mode != ("training" if metric == "backward_macs" else "inference"):
            continue
        now: Figure = after.totals.get(metric) if after else None
        said: Outcome = "incomparable" if now is None else "regressed" if now > limit else "unchanged"
        found.append(Verdict(model, TOTAL, metric, None, now, said, mode, budget=limit))
    return found


def _by_kind(
    model: str, mode: str, metric: str, before: Mapping[str, int], after: Mapping[str, int], slack: Fraction
) -> list[Verdict]:
    whole = sum(before.values())
    return [
        Verdict(model, TOTAL, metric, was, now, judged(was, now, slack=slack, whole=whole), mode, op=op)
        for op in sorted({*before, *after})
        if (was := before.get(op, 0)) != (now := after.get(op, 0))
    ]


def _unmatched(
    before: Sequence[Layer], after: Sequence[Layer]
) -> tuple[tuple[Key, ...], tuple[Key, ...], tuple[tuple[Key, Key], ...]]:
    """Layers that only one side has; a pair with the same operator and figures is one layer that moved."""
    old, new = {layer.key for layer in before}, {layer.key for layer in after}
    gone: dict[tuple[object, ...], list[Key]] = {}
    for layer in before:
        if layer.key not in new:
            gone.setdefault(_content(layer), []).append(layer.key)
    added, moved = [], []
    for layer in after:
        if layer.key not in old:
            same = gone.get(_content(layer))
            if same:
                moved.append((same.pop(0), layer.key))
            else:
                added.append(layer.key)
    left = {key for keys in gone.values() for key in keys}
    return tuple(added), tuple(layer.key for layer in before if layer.key in left), tuple(moved)


def _content(layer: Layer) -> tuple[object, ...]:
    return layer.op, *(layer.figures.get(metric, 0) for metric in LAYER_METRICS)


def _by_layer(
    model: str, mode: str, before: Snapshot, after: Snapshot, slack: Fraction, moved: Sequence[tuple[Key, Key]]
) -> list[Verdict]:
    """Every figure of every layer that differs, in the order of the run, what is gone last."""
    old, new = ({layer.key: layer for layer in one.layers} for one in (before, after))
    skipped = {key for pair in moved for key in pair}
    totals = before.totals
    found = []
    for key in dict.fromkeys([*new, *old]):
        if key in skipped:
            continue
        was, now = _figures(old.get(key)), _figures(new.get(key))
        for metric in LAYER_METRICS:
            first, other = was.get(metric, 0), now.get(metric, 0)
            if first != other:
                said = judged(first, other, slack=slack, whole=totals.get(metric, 0))
                sides = (first if key in old else None, other if key in new else None)
                path, op, call = key
                found.append(Verdict(model, path, metric, *sides, said, mode, op=op, call=call))
    return found


def _figures(layer: Layer | None) -> Mapping[str, int]:
    return layer.figures if layer else {}
