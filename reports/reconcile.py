"""A reconciliation as tables and as JSON: the total of each peer compared with macscope's, and the causes of
differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analyzer.core.units import percent, scaled
from analyzer.reconcile.families import family
from analyzer.records.record_json import envelope
from reports.counting.count_tables import conditions, exact_totals
from reports.counting.groups import TOP_LEVEL
from reports.table import MISSING, Cell, Row, Table, columns

if TYPE_CHECKING:
    from analyzer.reconcile.explain import Cause, Explanation
    from analyzer.records.record import Record

MAX_UNEXPLAINED = 3  # Modules named in the notes.
MAX_OP_WIDTH = 14  # Characters of an operator in the table of totals; a longer one is replaced by its family.
MAX_OPS_WIDTH = 28  # Characters for the operators of a cause, so that the row fits a terminal.
CAUSES = (
    "Every cause reproduces the tool's counts to the last unit. counts norms, bias and so on: the tool adds operations "
    "that are not multiply-adds. skipped: the tool has no count where macscope has one. wrong formula: it has another "
    "count. unexplained: no cause reproduces the count."
)


def tables(record: Record, explanations: Sequence[Explanation]) -> list[Table]:
    """The totals and, if any peer differs, the causes."""
    causes = _causes(explanations)
    return [_totals(record, explanations), *([causes] if causes.rows else [])]


def _totals(record: Record, explanations: Sequence[Explanation]) -> Table:
    own_macs = record.totals.macs
    rows: list[Row] = [(Cell("macscope"), "", "", scaled(own_macs), "", "", "")]
    notes = [f"macscope: {exact_totals(record)}"]
    if record.unknown_ops:
        notes.append(f"No formula for: {', '.join(sorted(record.unknown_ops))}")
    results = [explanation.result for explanation in explanations]
    if versions := ", ".join(f"{result.peer} {result.version}" for result in results if result.version):
        notes.append(f"Versions: {versions}")
    for explanation in explanations:
        result, difference = explanation.result, explanation.difference
        if result.reason:
            notes.append(f"{result.peer}: {result.reason}")
        if result.status != "ok":
            status = "not installed" if result.status == "missing" else "failed"
            rows.append((Cell(result.peer), MISSING, MISSING, MISSING, "", "", status))
            continue
        rows.append(
            (
                Cell(result.peer),
                scaled(result.total),
                str(explanation.peer.per_mac),
                scaled(explanation.macs),
                signed(difference) if difference else "same",
                _signed_share(difference / own_macs) if own_macs and difference else "",
                _main_cause(explanation),
            )
        )
    titles = ("tool", "reports", "per MAC", "in MACs", "difference", "relative", "main cause")
    title = f"{record.label}: {conditions(record)}"
    return Table(title, columns(*titles, left=("main cause",)), tuple(rows), notes=tuple(notes))


def _signed_share(share: float) -> str:
    """A signed share of our MACs; below 0.05 % `<0.1 %`."""
    return f"{'+' if share > 0 else '-'}{percent(abs(share))}" if abs(share) >= 0.0005 else "<0.1 %"


def _main_cause(explanation: Explanation) -> str:
    if explanation.unexplained:
        return f"unexplained {signed(explanation.unexplained)}"
    if not explanation.causes:
        return "agrees"
    name, (cause, *_) = _by_name(explanation.causes)[0]
    if cause.cause == "skipped":
        return f"skips {cause.op if len(cause.op) <= MAX_OP_WIDTH else family(cause.op)}"
    return name.partition(":")[0]


def _causes(explanations: Sequence[Explanation]) -> Table:
    """For each peer that differs its causes, the largest first; operators of one cause share a row."""
    rows: list[Row] = []
    notes = [CAUSES]
    for explanation in explanations:
        if not explanation.causes and not explanation.unexplained:
            continue
        peer, modules = explanation.result.peer, explanation.unexplained_modules
        rows.append((Cell(peer), signed(explanation.difference), "", ""))
        for name, causes in _by_name(explanation.causes):
            macs, count = sum(cause.macs for cause in causes), sum(cause.rows for cause in causes)
            ops = list(dict.fromkeys(cause.op for cause in causes))
            rows.append((Cell(name, depth=1), signed(macs), f"{count:,}", _shortened(ops)))
        count_text = f"{len(modules):,}" if modules else ""
        rows.append((Cell("unexplained", depth=1), signed(explanation.unexplained), count_text, ""))
        notes += [
            f"{peer}, unexplained: {module.op} of {module.path or TOP_LEVEL} {signed(module.macs)}"
            for module in modules[:MAX_UNEXPLAINED]
        ]
        if len(modules) > MAX_UNEXPLAINED:
            more = len(modules) - MAX_UNEXPLAINED
            notes.append(f"{peer}, unexplained: {more} more modules; --format json has all")
    titles = columns("tool, cause", "MACs", "rows", "operators", left=("operators",))
    return Table("Causes of the differences", titles, tuple(rows), notes=tuple(notes))


def _by_name(causes: Sequence[Cause]) -> list[tuple[str, list[Cause]]]:
    """Causes by name, the largest first."""
    groups: dict[str, list[Cause]] = {}
    for cause in causes:
        name = f"wrong formula: {cause.what}" if cause.cause == "wrong formula" else cause.what
        groups.setdefault(name, []).append(cause)
    return sorted(groups.items(), key=lambda group: -abs(sum(cause.macs for cause in group[1])))


def _shortened(ops: Sequence[str]) -> str:
    """The first operators that fit, and how many more there are."""
    text = ops[0]
    for index, op in enumerate(ops[1:], start=1):
        if len(f"{text}, {op} +{len(ops)}") > MAX_OPS_WIDTH:
            return f"{text} +{len(ops) - index}"
        text = f"{text}, {op}"
    return text


def sheet(record: Record, explanations: Sequence[Explanation]) -> Table:
    """For CSV: one row per peer and cause with exact numbers, then what is unexplained; a failed peer has one row."""
    names = ("model", "peer", "version", "status", "reason", "total", "per_mac", "macs", "ours", "difference",
             "cause", "what", "op", "cause_macs", "rows")  # fmt: skip
    rows: list[Row] = []
    for explanation in explanations:
        result = explanation.result
        head = [record.label, result.peer, result.version, result.status, result.reason]
        if result.status != "ok":
            rows.append((*head, *[""] * (len(names) - len(head))))
            continue
        own_macs, peer_macs = record.totals.macs, explanation.macs
        head += map(str, (result.total, explanation.peer.per_mac, peer_macs, own_macs, explanation.difference))
        rows += [(*head, *(str(getattr(cause, name)) for name in cause.fields)) for cause in explanation.causes]
        modules = len(explanation.unexplained_modules)
        rows.append((*head, "unexplained", "", "", str(explanation.unexplained), str(modules)))
    return Table("Reconciliation", columns(*names, left=names), tuple(rows))


def signed(macs: float) -> str:
    """`+23.05 M`, `-4.100 M`, `+0.5`, `0`."""
    size = f"{abs(macs):g}" if abs(macs) < 1000 else scaled(abs(macs))
    return f"{'+' if macs > 0 else '-' if macs < 0 else ''}{size}"


def status(explanations: Sequence[Explanation]) -> str:
    """ok; partial if an installed peer could not count; failed if none could."""
    statuses = [explanation.result.status for explanation in explanations]
    return "failed" if "ok" not in statuses else "partial" if "failed" in statuses else "ok"


def dump(record: Record, explanations: Sequence[Explanation]) -> str:
    """The JSON text with a final newline. MACs are integers, or end in .5 where a peer counts 2 FLOPs per MAC."""
    totals = record.totals
    return envelope(
        status(explanations),
        model=record.label,
        input=[list(shape) for shape in record.input],
        ours={
            "counter": record.count.counter,
            "macs": totals.macs,
            "flops": totals.flops,
            "params": totals.params,
            "unknown_ops": dict(record.unknown_ops),
        },
        peers=list(map(_peer_to_json, explanations)),
    )


def _peer_to_json(explanation: Explanation) -> dict[str, Any]:
    result = explanation.result
    head = {
        "peer": result.peer,
        "version": result.version or None,
        "status": result.status,
        "reason": result.reason or None,
        "convention": explanation.peer.convention,
    }
    if result.status != "ok":
        return {**head, "total": None, "macs": None, "difference": None, "causes": [], "unexplained": None}
    return {
        **head,
        "total": result.total,
        "per_mac": explanation.peer.per_mac,
        "macs": explanation.macs,
        "difference": explanation.difference,
        "causes": [dict(vars(cause)) for cause in explanation.causes],
        "unexplained": explanation.unexplained,
        "unexplained_rows": [dict(vars(module)) for module in explanation.unexplained_modules],
    }
