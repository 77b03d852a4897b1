"""The differences of one model: its totals with exact values, and its layers, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from analyzer.core.units import METRICS, signed
from analyzer.records.rows import TRAINING_KEYS
from analyzer.regression.counts.compare_with_baseline import LAYERS
from analyzer.regression.outcome import TOTAL, Change, Key, ModelCheck
from reports import cells
from reports.cells import ratio_text
from reports.counting.groups import TOP_LEVEL
from reports.table import MISSING, Cell, Row, Table, columns

# Four metrics leave room for a name in 80 columns; hence two tables.
METRIC_GROUPS = (("params", "macs", "flops", "activations"), ("bytes_read", "bytes_written", *TRAINING_KEYS))
MAX_MOVED = 20


def difference_tables(model: str, checks: Sequence[ModelCheck]) -> list[Table]:
    """Empty if nothing differs."""
    tables = [*_totals(model, checks), *_layers(model, checks)]
    moved = list(dict.fromkeys(pair for check in checks for pair in check.moved))
    if moved:
        tables.append(_moved(model, moved))
    if tables and any(change.call and change.outcome == "unchanged" for check in checks for change in check.changes):
        tables[-1] = tables[-1].replace(notes=(*tables[-1].notes, "In brackets: within the tolerance."))
    return tables


def _totals(model: str, checks: Sequence[ModelCheck]) -> list[Table]:
    """Totals, kinds of operators and budgets that differ. The training pass repeats most of the forward pass: once."""
    rows: dict[tuple[object, ...], Row] = {}
    for check in checks:
        for change in _total_changes(check):
            difference = (change.after or 0) - (change.before or 0)
            key = change.metric, change.op, change.budget, change.outcome, difference
            rows.setdefault(key, _total_row(change))
    if not rows:
        return []
    header = columns("total", "before", "after", "change", "outcome", left=("outcome",))
    return [Table(f"{model}: totals that differ", header, tuple(rows.values()))]


def _total_changes(check: ModelCheck) -> Iterable[Change]:
    """A model that one side lacks has no totals to show, only budgets."""
    changes = [change for change in check.changes if change.path == TOTAL and not change.call]
    if check.missing:
        return [change for change in changes if change.over_budget]
    totals = [change for change in changes if not change.op and (change.differs or change.over_budget)]
    return [*totals, *(change for change in changes if change.op)]


def _total_row(change: Change) -> Row:
    if change.metric == LAYERS:
        return Cell("layers; their sums are equal"), MISSING, MISSING, "differ", change.outcome
    name = METRICS[change.metric].title if change.metric in METRICS else "unknown calls"
    if change.op:
        name += f" of {change.op}"
    if change.mode == "training" and change.metric not in TRAINING_KEYS:
        name += " (train)"
    if change.budget is not None:
        outcome = "over budget" if change.outcome == "regressed" else "no value"
        return Cell(f"{name} budget"), f"{change.budget:,}", cells.exact(change.after), "", outcome
    return Cell(name), cells.exact(change.before), cells.exact(change.after), _difference_text(change), change.outcome


def _difference_text(change: Change) -> str:
    """Relative to the base; as a difference where two decimals of a percentage would not show it."""
    if change.before is None or change.after is None or change.outcome == "incomparable":
        return ""
    if change.ratio is None or abs(change.ratio - 1) < 0.0001:
        return signed(change.after - change.before, change.metric if change.metric in METRICS else "calls")
    return ratio_text(change.ratio)


def _layers(model: str, checks: Sequence[ModelCheck]) -> list[Table]:
    lines = _lines(checks)
    names = _names([key for key, _, _ in lines])
    tables = []
    for group in METRIC_GROUPS:
        metrics = [metric for metric in group if any(metric in changes for _, _, changes in lines)]
        rows: list[Row] = [
            (Cell(names[key]), *(_layer_difference(changes.get(metric)) for metric in metrics), state)
            for key, state, changes in lines
            if any(metric in changes for metric in metrics)
            or (group == METRIC_GROUPS[0] and state in ("added", "removed"))
        ]
        if rows:
            titles = [METRICS[metric].title for metric in metrics]
            states = [""] if any(row[-1] for row in rows) else []
            header = columns("layer", *titles, *states, left=("",), cut="start")
            title = f"{model}: {', '.join(titles) or 'operators'} by layer"
            tables.append(Table(title, header, tuple(row[: len(header)] for row in rows)))
    return tables


def _moved(model: str, moved: Sequence[tuple[Key, Key]]) -> Table:
    names = _names([key for pair in moved for key in pair])
    rows: list[Row] = [(Cell(names[old]), names[new]) for old, new in moved[:MAX_MOVED]]
    notes = (f"and {len(moved) - MAX_MOVED:,} more; --format json has all",) if len(moved) > MAX_MOVED else ()
    header = columns("layer", "new name", left=("new name",), cut="start")
    return Table(f"{model}: layers with equal counts under another name", header, tuple(rows), notes=notes)


def _lines(checks: Sequence[ModelCheck]) -> list[tuple[Key, str, dict[str, Change]]]:
    """Each layer with its changes by metric. Training adds the backward pass to a layer's line.

    Where its forward pass differs from that at inference it gets a separate line, marked "training".
    """
    passes: dict[str, dict[Key, dict[str, Change]]] = {"inference": {}, "training": {}}
    states: dict[Key, str] = {}
    for check in checks:
        for state, keys in (("added", check.added), ("removed", check.removed)):
            for key in keys:
                states[key] = state
                passes[check.mode].setdefault(key, {})
        for change in check.changes:
            if change.call:
                key = change.path, change.op, change.call
                passes[check.mode].setdefault(key, {})[change.metric] = change
    inference, training = passes["inference"], passes["training"]
    lines: list[tuple[Key, str, dict[str, Change]]] = []
    for key in dict.fromkeys([*training, *inference]):
        first = inference.get(key, {})
        forward = dict(training.get(key, {}))
        backward = {metric: forward.pop(metric) for metric in TRAINING_KEYS if metric in forward}
        additional = {
            metric: change
            for metric, change in forward.items()
            if metric not in first or (change.before, change.after) != (first[metric].before, first[metric].after)
        }
        if key in inference or not additional:
            lines.append((key, states.get(key, ""), first | backward))
            backward = {}
        if additional:
            lines.append((key, states.get(key, "training"), additional | backward))
    return lines


def _layer_difference(change: Change | None) -> str:
    if change is None:
        return ""
    text = signed((change.after or 0) - (change.before or 0), change.metric)
    return f"({text})" if change.outcome == "unchanged" else text


def _names(keys: Sequence[Key]) -> Mapping[Key, str]:
    """A layer's path, with its operator and call where the path alone is ambiguous."""
    paths = Counter(path for path, _, _ in dict.fromkeys(keys))
    return {
        (path, op, call): (path or TOP_LEVEL)
        + (f" {op}" if paths[path] > 1 or not path else "")
        + (f" #{call}" if call > 1 else "")
        for path, op, call in keys
    }
