"""`analyze reconcile`: counts a model, runs other tools on it, and explains how they differ from macscope's count."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, render, spinner
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.reconcile.explain import explain
from analyzer.reconcile.peers import PEERS, Peer
from analyzer.reconcile.run_peers import run_peers
from reports.reconcile import dump, sheet, status, tables


def run_reconcile(
    selection: Selection, *, peer_names: Sequence[str], limit_s: float | None, form: str, output: str | None
) -> int:
    """Returns 0, or 3 if no peer could count; a difference between a peer and us is not a failure."""
    if len(selection.references) + len(selection.variants) != 1:
        raise AnalyzerError("reconcile takes one model, such as net.py or googlenet")
    peers = list(dict.fromkeys(map(_find_peer, peer_names))) or list(PEERS.values())
    request = {
        "reference": next(iter(selection.references), None),
        "variant": next(iter(selection.variants), None),
        "inputs": list(selection.inputs),
        "batch": selection.batch,
    }
    with spinner(f"counting, and running {', '.join(peer.name for peer in peers)}", when=True):
        (record,), errors = selection.count()
        if record is None:
            raise errors[0]
        results = run_peers(peers, request, limit_s=limit_s)
    pairs = zip(results, peers, strict=True)
    explanations = [explain(result, peer, record.rows, batch=selection.batch) for result, peer in pairs]
    for note in record.notes:
        print_message(f"{record.label}: {note}")
    emit(
        form, output, lambda: tables(record, explanations),
        json=lambda: dump(record, explanations), csv=lambda: render([sheet(record, explanations)], form),
    )  # fmt: skip
    return 3 if status(explanations) == "failed" else 0


def _find_peer(name: str) -> Peer:
    known = {peer.lower(): peer for peer in PEERS}
    if name.lower() not in known:
        raise AnalyzerError(f"unknown tool {quoted(name)}; {nearest(name, PEERS)}")
    return PEERS[known[name.lower()]]
