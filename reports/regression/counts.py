"""A check of counts as a summary: one line per model."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import METRICS, counted
from analyzer.regression.counts.check_all_models import CountsResult
from analyzer.regression.counts.snapshot import snapshot
from analyzer.regression.outcome import ModelCheck
from analyzer.regression.tolerances import ANY, TIME
from reports import cells
from reports.regression.summary import headline, label
from reports.table import Cell, Row, Table, columns

METRICS_SHOWN = ("params", "macs", "peak_memory")


def summary_table(result: CountsResult) -> Table:
    totals = {model.model: snapshot(model.records["inference"]).totals for model in result.candidates if model.records}
    rows: list[Row] = [
        (
            Cell(model),
            *(cells.count(metric, totals.get(model, {}).get(metric)) for metric in METRICS_SHOWN),
            label(result, model),
            _details(result.of(model), result),
        )
        for model in result.models
    ]
    titles = ("model", *(METRICS[metric].title for metric in METRICS_SHOWN), "outcome", "details")
    header = columns(*titles, left=("outcome", "details"), cut="start")
    return Table(headline(result), header, tuple(rows), notes=(*_reasons(result), *_advice(result)))


def _details(checks: Sequence[ModelCheck], result: CountsResult) -> str:
    """The differences in words; the tables below have the values."""
    first = checks[0]
    if first.error:
        return ""
    exceeded = [METRICS[change.metric].title for check in checks for change in check.changes if change.over_budget]
    over_budget = [f"{', '.join(exceeded)} over budget"] if exceeded else []
    if first.reason:
        return ", ".join([*([] if first.missing else ["other input"]), *over_budget])
    layers = {(change.path, change.op, change.call) for check in checks for change in check.changes if change.call}
    layers |= {key for check in checks for key in (*check.added, *check.removed)}
    moved = {pair for check in checks for pair in check.moved}
    parts = [counted(len(layers), "layer")] if layers else []
    parts += [f"{len(moved)} moved"] if moved else []
    return "; ".join([*([", ".join(parts)] if parts else []), *over_budget])


def _reasons(result: CountsResult) -> list[str]:
    """Why models are incomparable, and what was not counted in them; a reason that both modes share appears once."""
    # Without a baseline every model is new, which `_advice` explains.
    lines = [
        f"{check.model}: {check.reason}" for check in result.checks if check.reason and (result.exists or check.error)
    ]
    lines += [
        f"{check.model}: no formula for (calls): "
        + ", ".join(f"{op} {calls}" for op, calls in sorted(check.unknown_ops.items()))
        for check in result.checks
        if check.unknown_ops
    ]
    return list(dict.fromkeys(lines))


def _advice(result: CountsResult) -> list[str]:
    """Advice on the next command to run."""
    if result.updated:
        return [f"{result.baseline} now has these counts; commit it."]
    if not result.exists:
        return [
            f"There is no baseline {result.baseline} to compare with; analyze check --update creates it: commit it."
        ]
    tolerances = result.tolerances
    default = tolerances.metrics.get(ANY, 0.0)
    tolerance = f" Growth of up to {100 * default:g} % is tolerated." if default else ""
    if tolerances.models or any(share for metric, share in tolerances.metrics.items() if metric not in (ANY, TIME)):
        tolerance = " Tolerances are those of pyproject.toml."
    if any(change.outcome == "regressed" and change.budget is None for change in result.changes):
        return [f"If this growth is intended, analyze check --update accepts it into {result.baseline}.{tolerance}"]
    improved = any(change.outcome == "improved" for change in result.changes)
    if improved or any(check.missing or check.differs for check in result.checks):
        return [f"analyze check --update writes this to {result.baseline}.{tolerance}"]
    return [f"Compared with {result.baseline}, layer by layer.{tolerance}"]
