"""A reconciliation as JSON: our totals, and for each peer its total, its difference and every cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.reconcile.explain import Explanation
from analyzer.records.envelope import SCHEMA_VERSION, pretty
from analyzer.records.record import Record


def status(explanations: Sequence[Explanation]) -> str:
    """ok; partial if an installed peer could not count; failed if none could."""
    statuses = [explanation.result.status for explanation in explanations]
    return "failed" if "ok" not in statuses else "partial" if "failed" in statuses else "ok"


def dump(record: Record, explanations: Sequence[Explanation]) -> str:
    """The JSON text with a final newline. MACs are integers, or end in .5 where a peer counts 2 FLOPs per MAC."""
    totals = record.totals
    envelope = {
        "schema_version": SCHEMA_VERSION,
        "status": status(explanations),
        "model": record.label,
        "input": [list(shape) for shape in record.input],
        "ours": {
            "counter": record.count.counter,
            "macs": totals.macs,
            "flops": totals.flops,
            "params": totals.params,
            "unknown_ops": dict(record.unknown_ops),
        },
        "peers": list(map(_peer, explanations)),
    }
    return pretty(envelope) + "\n"


def _peer(explanation: Explanation) -> dict[str, Any]:
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
