"""A check as tables: a line a model, then for each that differs its totals to the last unit and its layers."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import METRICS
from analyzer.regression.counts.gate import Held
from analyzer.regression.counts.result import Result
from analyzer.regression.counts.snapshot import Snapshot, snapshot
from analyzer.regression.verdict import Verdict
from reports.counting.network import MISSING
from reports.regression import layers as gate_details
from reports.regression.layers import over
from reports.table import Cell, Column, Name, Table

SUMMARY = ("params", "macs", "peak_memory")
COUNTED = ("model", "mode", "path", "op", "call", "metric", "before", "after", "budget", "outcome")
TIMED = ("model", "metric", "before", "after", "low", "high", "outcome")


def tables(result: Result) -> list[Table]:
    """The summary, and what differs model by model."""
    return [_summary(result), *(table for model in result.models for table in details(result, model))]


def details(result: Result, model: str) -> list[Table]:
    """One model's totals that differ and its layers; nothing if nothing differs."""
    return gate_details.tables(model, result.of(model))


def headline(result: Result) -> str:
    """`Check failed: 1 regressed, 9 unchanged`."""
    outcomes = [_word(result, model) for model in result.models]
    counts = {word: outcomes.count(word) for word in dict.fromkeys(outcomes)}
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    word = "failed" if result.failures else "updated" if result.updated else "passed"
    if not result.failures and (result.errors or result.unjudged):
        word = "incomplete"
    return f"Check {word}: {said or 'no models'}"


def _word(result: Result, model: str) -> str:
    """A model's outcome, or why it has none."""
    held = result.of(model)
    if result.outcome(model) != "incomparable":
        return result.outcome(model)
    return "not counted" if model in result.errors else _short(held[0]) if held[0].missing else "incomparable"


def _summary(result: Result) -> Table:
    now = {one.model: snapshot(one.records["inference"]) for one in result.candidates if one.records}
    rows: list[tuple[Cell, ...]] = [
        (Name(model), *_figures(now.get(model)), result.outcome(model), _said(result.of(model), result))
        for model in result.models
    ]
    columns = (
        Column("model", "left"),
        *(Column(METRICS[metric].title) for metric in SUMMARY),
        Column("outcome", "left"),
        Column("what", "left"),
    )
    return Table(headline(result), columns, tuple(rows), notes=(*_reasons(result), *_advice(result)))


def _figures(now: Snapshot | None) -> list[str]:
    totals = now.totals if now else {}
    return [METRICS[metric].text(totals[metric]) if metric in totals else MISSING for metric in SUMMARY]


def _said(held: Sequence[Held], result: Result) -> str:
    """A model's line in words; the tables below have the figures."""
    first = held[0]
    if first.model in result.errors:
        return "cannot be counted"
    beyond = [METRICS[v.metric].title for one in held for v in one.verdicts if over(v)]
    parts = [f"over budget: {', '.join(beyond)}"] if beyond else []
    if first.reason:
        return ", ".join([_short(first), *parts])
    layers = {(v.path, v.op, v.call) for one in held for v in one.verdicts if v.call}
    layers |= {key for one in held for key in (*one.added, *one.removed)}
    parts += [f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"] if layers else []
    moved = {pair for one in held for pair in one.moved}
    parts += [f"{len(moved)} moved"] if moved else []
    return ", ".join(parts)


def _short(one: Held) -> str:
    if not one.missing:
        return "other settings"
    return "new" if any(v.after is not None for v in one.verdicts) else "gone"


def _reasons(result: Result) -> list[str]:
    """Why a model has no verdict, and what was not counted in it; once for both modes."""
    # Without a baseline every model is new, which is said once.
    lines = [
        f"{one.model}: {one.reason}"
        for one in result.held
        if one.reason and (result.exists or one.model in result.errors)
    ]
    lines += [
        f"{one.model}: no formula for (calls): "
        + ", ".join(f"{op} {times}" for op, times in sorted(one.unknown_ops.items()))
        for one in result.held
        if one.unknown_ops
    ]
    return list(dict.fromkeys(lines))


def _advice(result: Result) -> list[str]:
    """What to do next."""
    if result.updated:
        return [f"{result.baseline} has these figures now; commit it."]
    if not result.exists:
        return [f"There is no baseline {result.baseline} to compare with; analyze check --update makes it: commit it."]
    outcomes = {verdict.outcome for verdict in result.verdicts}
    slack = f" Growth of up to {100 * result.tolerance:g} % is tolerated." if result.tolerance else ""
    if any(v.outcome == "regressed" and v.budget is None for v in result.verdicts):
        return [f"If this growth is meant, analyze check --update takes it into {result.baseline}.{slack}"]
    if "improved" in outcomes or any(one.missing or one.differs for one in result.held):
        return [f"analyze check --update takes this into {result.baseline}.{slack}"]
    return [f"Held against {result.baseline}, layer by layer.{slack}"]


def sheet(verdicts: Sequence[Verdict], keys: Sequence[str] = COUNTED) -> Table:
    """For CSV: a line a verdict of any check, figures to the last unit."""
    rows = tuple(tuple("" if getattr(v, key) is None else str(getattr(v, key)) for key in keys) for v in verdicts)
    return Table("verdicts", tuple(Column(key, "left") for key in keys), rows)
