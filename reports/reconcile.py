"""A reconciliation as tables: what each peer says beside us, then why, cause by cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from analyzer.core.units import percent, scaled
from analyzer.reconcile.families import family
from reports.counting.network import MISSING, conditions, exact_totals
from reports.table import Cell, Column, Name, Table

if TYPE_CHECKING:
    from analyzer.reconcile.explain import Cause, Explanation
    from analyzer.records.record import Record

LEFT: Final = "left"
SHOWN = 3  # Modules named where nothing meets a peer's figure.
SHORT = 14  # Characters of an operator in the table of verdicts; a longer one is named by its family.
WIDTH = 28  # Characters for the operators of a cause, so that the line fits a terminal.
CAUSES = (
    "Every cause meets the peer's figures to the last unit. counts norms, bias and so on: adds to the sum what is no "
    "multiply-add. skipped: has no figure where we have one. wrong formula: has another. unexplained: meets none."
)


def tables(record: Record, explanations: Sequence[Explanation]) -> list[Table]:
    """The verdicts, and the causes of every difference there is."""
    why = _why(explanations)
    return [_verdicts(record, explanations), *([why] if why.rows else [])]


def _verdicts(record: Record, explanations: Sequence[Explanation]) -> Table:
    ours = record.totals.macs
    rows: list[tuple[Cell, ...]] = [(Name("ours"), "", "", scaled(ours), "", "", "")]
    for one in explanations:
        said = one.result
        if said.status != "ok":
            word = "not installed" if said.status == "missing" else "failed"
            rows.append((Name(said.peer), MISSING, MISSING, MISSING, "", "", word))
            continue
        rows.append(
            (
                Name(said.peer),
                scaled(said.total),
                str(one.peer.per_mac),
                scaled(one.macs),
                signed(one.difference) if one.difference else "same",
                _share(one.difference / ours) if ours and one.difference else "",
                _mainly(one),
            )
        )
    columns = (
        Column("peer", LEFT),
        Column("it says"),
        Column("per MAC"),
        Column("in MACs"),
        Column("difference"),
        Column("of ours"),
        Column("mainly", LEFT),
    )
    versions = ", ".join(f"{one.result.peer} {one.result.version}" for one in explanations if one.result.version)
    notes = [f"Ours: {exact_totals(record)}"]
    if record.unknown_ops:
        notes.append(f"We have no formula for: {', '.join(sorted(record.unknown_ops))}")
    notes += [f"Versions: {versions}"] if versions else []
    notes += [f"{one.result.peer}: {one.result.reason}" for one in explanations if one.result.reason]
    return Table(f"{record.label}: {conditions(record)}", columns, tuple(rows), notes=tuple(notes))


def _share(part: float) -> str:
    """A signed share of our MACs; what would print as 0.0 is said to be less than 0.1."""
    return f"{'+' if part > 0 else '-'}{percent(abs(part))}" if abs(part) >= 0.0005 else "<0.1 %"


def _mainly(one: Explanation) -> str:
    """What no cause explains, or else the largest cause, in a word or two."""
    if one.unexplained:
        return f"unexplained {signed(one.unexplained)}"
    if not one.causes:
        return "agrees"
    words, causes = _together(one.causes)[0]
    if causes[0].cause == "skipped":
        return f"skips {causes[0].op if len(causes[0].op) <= SHORT else family(causes[0].op)}"
    return words.partition(":")[0]


def _why(explanations: Sequence[Explanation]) -> Table:
    """Under each peer that differs anywhere its causes, operators of one cause together, the largest first."""
    rows: list[tuple[Cell, ...]] = []
    notes = [CAUSES]
    for one in explanations:
        if not one.causes and not one.unexplained:
            continue
        rows.append((Name(one.result.peer), signed(one.difference), "", ""))
        for words, causes in _together(one.causes):
            total, found = sum(cause.macs for cause in causes), sum(cause.rows for cause in causes)
            ops = dict.fromkeys(cause.op for cause in causes)
            rows.append((Name(words, 1), signed(total), f"{found:,}", _few(list(ops))))
        rows.append((Name("unexplained", 1), signed(one.unexplained), f"{len(one.unexplained_modules):,}" if one.unexplained_modules else "", ""))
        notes += [
            f"{one.result.peer}, unexplained: {unmet.op} of {unmet.path or '(top level)'} {signed(unmet.macs)}"
            for unmet in one.unexplained_modules[:SHOWN]
        ]
        if len(one.unexplained_modules) > SHOWN:
            notes.append(
                f"{one.result.peer}, unexplained: {len(one.unexplained_modules) - SHOWN} more modules; --format json has all"
            )
    columns = (Column("peer, cause", LEFT), Column("MACs"), Column("rows"), Column("operators", LEFT))
    return Table("Why they differ from ours", columns, tuple(rows), notes=tuple(notes))


def _together(causes: Sequence[Cause]) -> list[tuple[str, list[Cause]]]:
    """Causes in words, each with its operators."""
    groups: dict[str, list[Cause]] = {}
    for cause in causes:
        words = f"wrong formula: {cause.what}" if cause.cause == "wrong formula" else cause.what
        groups.setdefault(words, []).append(cause)
    return sorted(groups.items(), key=lambda group: -abs(sum(cause.macs for cause in group[1])))


def _few(ops: Sequence[str]) -> str:
    """The first operators that fit, and how many more there are."""
    shown = ops[0]
    for index, op in enumerate(ops[1:], start=1):
        if len(f"{shown}, {op} +{len(ops)}") > WIDTH:
            return f"{shown} +{len(ops) - index}"
        shown = f"{shown}, {op}"
    return shown


def sheet(record: Record, explanations: Sequence[Explanation]) -> Table:
    """A line a peer and cause, with exact figures; the first line of a peer is its whole difference."""
    names = ("model", "peer", "version", "status", "reason", "total", "per_mac", "macs", "ours", "difference",
             "cause", "what", "op", "cause_macs", "rows")  # fmt: skip
    lines: list[tuple[Cell, ...]] = []
    for one in explanations:
        said = one.result
        head = [record.label, said.peer, said.version, said.status, said.reason]
        if said.status != "ok":
            lines.append((*head, *[""] * (len(names) - len(head))))
            continue
        head += map(str, (said.total, one.peer.per_mac, one.macs, record.totals.macs, one.difference))
        lines += [(*head, cause.cause, cause.what, cause.op, str(cause.macs), str(cause.rows)) for cause in one.causes]
        lines.append((*head, "unexplained", "", "", str(one.unexplained), str(len(one.unexplained_modules))))
    return Table("Reconciliation", tuple(Column(name, LEFT) for name in names), tuple(lines))


def signed(macs: float) -> str:
    """`+23.05 M`, `-4.100 M`, `+0.5`, `0`."""
    size = f"{abs(macs):g}" if abs(macs) < 1000 else scaled(abs(macs))
    return f"{'+' if macs > 0 else '-' if macs < 0 else ''}{size}"
