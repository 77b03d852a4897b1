"""A reconciliation as JSON: our totals, and each peer with its total, its difference and every cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.reconcile.explain import Explanation
from analyzer.records.envelope import SCHEMA_VERSION, pretty
from analyzer.records.record import Record


def status(explanations: Sequence[Explanation]) -> str:
    """ok; partial if a peer that is installed could not count; failed if none could."""
    said = [one.result.status for one in explanations]
    return "failed" if "ok" not in said else "partial" if "failed" in said else "ok"


def dump(record: Record, explanations: Sequence[Explanation]) -> str:
    """The envelope as text, with a final newline. MACs are whole, or end in .5 where a peer counts FLOPs in twos."""
    totals = record.totals
    ours = {
        "counter": record.count.counter,
        "macs": totals.macs,
        "flops": totals.flops,
        "params": totals.params,
        "unknown_ops": dict(record.unknown_ops),
    }
    envelope = {
        "schema_version": SCHEMA_VERSION,
        "status": status(explanations),
        "model": record.label,
        "input": [list(shape) for shape in record.input],
        "ours": ours,
        "peers": [_peer(one) for one in explanations],
    }
    return pretty(envelope) + "\n"


def _peer(one: Explanation) -> dict[str, Any]:
    said = one.result
    head = {"peer": said.peer, "version": said.version or None, "status": said.status, "reason": said.reason or None}
    head["convention"] = one.peer.convention
    if said.status != "ok":
        none = dict.fromkeys(("total", "macs", "difference"))
        return {**head, **none, "causes": [], "unexplained": None}
    return {
        **head,
        "total": said.total,
        "per_mac": one.peer.per_mac,
        "macs": one.macs,
        "difference": one.difference,
        "causes": [{key: getattr(cause, key) for key in cause.fields} for cause in one.causes],
        "unexplained": one.unexplained,
        "unexplained_rows": [{key: getattr(unmet, key) for key in unmet.fields} for unmet in one.unexplained_modules],
    }
