"""What differs in one model: its totals to the last unit, and its layers, a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from analyzer.core.units import METRICS, change, signed
from analyzer.regression.counts.gate import Held
from analyzer.regression.counts.result import differing
from analyzer.regression.counts.snapshot import Key
from analyzer.regression.verdict import Verdict
from reports.counting.network import MISSING, TOP_LEVEL
from reports.table import Cell, Column, Name, Table

# What four figures a line leave of 80 columns is room for a name; hence two tables.
BY_LAYER = (("params", "macs", "flops", "activations"), ("bytes_read", "bytes_written", "backward_macs"))
MOST_MOVED = 20


def tables(model: str, held: Sequence[Held]) -> list[Table]:
    """Nothing if nothing differs."""
    totals = _totals(model, held)
    return [*([totals] if totals else []), *_layers(model, held)]


def over(verdict: Verdict) -> bool:
    """Whether it is a budget that is not kept, or for which there is no figure."""
    return verdict.budget is not None and verdict.outcome != "unchanged"


def _totals(model: str, held: Sequence[Held]) -> Table | None:
    """Every total, kind of operator and budget that differs, to the last unit."""
    rows: list[tuple[Cell, ...]] = []
    shown: set[tuple[object, ...]] = set()
    for one in held:
        if one.missing:
            verdicts: Sequence[Verdict] = [v for v in one.verdicts if over(v)]
        else:
            verdicts = [*differing(one), *(v for v in one.verdicts if v.op and not v.call)]
        for verdict in verdicts:
            # The training pass repeats most of what the forward pass says.
            difference = (verdict.after or 0) - (verdict.before or 0)
            same = (verdict.metric, verdict.op, verdict.budget, verdict.outcome, difference)
            if same not in shown:
                shown.add(same)
                rows.append(_total(verdict))
    if not rows:
        return None
    columns = (Column("total", "left"), Column("before"), Column("after"), Column("change"), Column("outcome", "left"))
    return Table(f"{model}: totals that differ", columns, tuple(rows))


def _total(verdict: Verdict) -> tuple[Cell, ...]:
    name = METRICS[verdict.metric].title if verdict.metric in METRICS else "unknown calls"
    if verdict.op:
        name += f" of {verdict.op}"
    if verdict.mode == "training" and verdict.metric != "backward_macs":
        name += " (train)"
    if verdict.budget is not None:
        word = "over budget" if verdict.outcome == "regressed" else "no figure"
        return Name(f"{name} budget"), f"{verdict.budget:,}", _exact(verdict.after), "", word
    if verdict.before is None or verdict.after is None or verdict.outcome == "incomparable":
        return Name(name), _exact(verdict.before), _exact(verdict.after), "", verdict.outcome
    unit = verdict.metric if verdict.metric in METRICS else "calls"
    grown = change(verdict.before, verdict.after, unit)
    return Name(name), _exact(verdict.before), _exact(verdict.after), grown, verdict.outcome


def _exact(value: float | None) -> str:
    return MISSING if value is None else f"{value:,}"


def _layers(model: str, held: Sequence[Held]) -> list[Table]:
    """A line a layer that differs, only the metrics that do."""
    lines = _lines(held)
    names = _names([key for key, _, _ in lines])
    found = []
    for group in BY_LAYER:
        metrics = [metric for metric in group if any(metric in figures for _, _, figures in lines)]
        rows: list[tuple[Cell, ...]] = [
            (Name(names[key]), *(_difference(figures.get(metric)) for metric in metrics), state)
            for key, state, figures in lines
            if any(metric in figures for metric in metrics) or (group == BY_LAYER[0] and state in ("added", "removed"))
        ]
        if rows:
            columns = (
                Column("layer", "left", cut="start"),
                *(Column(METRICS[metric].title) for metric in metrics),
                *([Column("", "left")] if any(row[-1] for row in rows) else []),
            )
            rows = [row[: len(columns)] for row in rows]
            title = ", ".join(METRICS[metric].title for metric in metrics) or "operators"
            found.append(Table(f"{model}: {title} by layer", columns, tuple(rows)))
    moved = list(dict.fromkeys(pair for one in held for pair in one.moved))
    if moved:
        found.append(_moved(model, moved))
    within = any(v.call and v.outcome == "unchanged" for one in held for v in one.verdicts)
    if found and within:
        found[-1] = found[-1].replace(notes=("In brackets: within the tolerance.",))
    return found


def _moved(model: str, moved: Sequence[tuple[Key, Key]]) -> Table:
    names = _names([key for pair in moved for key in pair])
    rows: list[tuple[Cell, ...]] = [(Name(names[old]), names[new]) for old, new in moved[:MOST_MOVED]]
    notes = (f"and {len(moved) - MOST_MOVED:,} more; --format json has them all",) if len(moved) > MOST_MOVED else ()
    columns = (Column("layer", "left", cut="start"), Column("now", "left"))
    return Table(f"{model}: the same figures under another name", columns, tuple(rows), notes=notes)


def _lines(held: Sequence[Held]) -> list[tuple[Key, str, dict[str, Verdict]]]:
    """Each layer with its verdicts by metric. Training adds its backward pass, and a line of its own where its
    forward pass differs from what inference says already."""
    passes: dict[str, dict[Key, dict[str, Verdict]]] = {"inference": {}, "training": {}}
    for one in held:
        for key in (*one.added, *one.removed):
            passes[one.mode].setdefault(key, {})
        for v in one.verdicts:
            if v.call:
                passes[one.mode].setdefault((v.path, v.op, v.call), {})[v.metric] = v
    states = {key: "added" for one in held for key in one.added} | {
        key: "removed" for one in held for key in one.removed
    }
    inference, training = passes["inference"], passes["training"]
    lines: list[tuple[Key, str, dict[str, Verdict]]] = []
    for key in dict.fromkeys([*training, *inference]):
        usual, trained = inference.get(key, {}), training.get(key, {})
        backward = {metric: v for metric, v in trained.items() if metric == "backward_macs"}
        forward = {metric: v for metric, v in trained.items() if metric not in backward}
        more = {m: v for m, v in forward.items() if m not in usual or _sides(v) != _sides(usual[m])}
        if key in inference or not more:
            lines.append((key, states.get(key, ""), usual | backward))
            backward = {}
        if more:
            lines.append((key, states.get(key, "training"), more | backward))
    return lines


def _sides(verdict: Verdict) -> tuple[object, object]:
    return verdict.before, verdict.after


def _difference(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    text = signed((verdict.after or 0) - (verdict.before or 0), verdict.metric)
    return f"({text})" if verdict.outcome == "unchanged" else text


def _names(keys: Sequence[Key]) -> Mapping[Key, str]:
    """A layer is called by its path; with its operator and call where the path alone does not tell."""
    paths = Counter(path for path, _, _ in dict.fromkeys(keys))
    found = {}
    for path, op, call in keys:
        name = path or TOP_LEVEL
        several = paths[path] > 1
        found[path, op, call] = name + (f" {op}" if several or not path else "") + (f" #{call}" if call > 1 else "")
    return found
