"""The job of `analyze reconcile`: count the model ourselves, ask the peers, explain, show."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit_tables, spinner, write
from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.inputs import image, parse_input
from analyzer.counting.api import count_reference, count_variant
from analyzer.networks.variants import variants
from analyzer.reconcile.explain import explain
from analyzer.reconcile.opinion import PEERS, Peer
from analyzer.reconcile.run_peers import command, opinions
from analyzer.records.record import Record
from reports import reconcile_json as envelope


def run(
    *,
    reference: str | None,
    variant: str | None,
    inputs: Sequence[str],
    batch: int,
    names: Sequence[str],
    limit_s: float | None,
    form: str,
    output: str | None,
) -> int:
    """Returns 0, or 3 if no peer could count: that others differ is no failure of ours."""
    if (reference is None) == (variant is None):
        raise AnalyzerError("one model is reconciled at a time; give --model REF or --variant NAME")
    peers = list(dict.fromkeys(map(_peer, names))) or list(PEERS.values())
    question = {"reference": reference, "variant": variant, "inputs": list(inputs), "batch": batch}
    with spinner(f"counting, and asking {', '.join(peer.name for peer in peers)}", when=True):
        record = _ours(reference, variant, inputs, batch)
        answers = opinions(peers, command(question), limit_s=limit_s)
    pairs = zip(answers, peers, strict=True)
    explanations = [explain(answer, peer, record.rows, batch=batch) for answer, peer in pairs]
    for note in record.notes:
        print_message(f"{record.label}: {note}")
    if form == "json":
        write(envelope.dump(record, explanations), output)
    else:
        from reports import reconcile as view

        sheet = form == "csv"
        emit_tables([view.sheet(record, explanations)] if sheet else view.tables(record, explanations), form, output)
    return 3 if envelope.status(explanations) == "failed" else 0


def _peer(name: str) -> Peer:
    known = {peer.lower(): peer for peer in PEERS}
    if name.lower() not in known:
        raise AnalyzerError(f"unknown peer {quoted(name)}; {nearest(name, PEERS)}")
    return PEERS[known[name.lower()]]


def _ours(reference: str | None, variant: str | None, inputs: Sequence[str], batch: int) -> Record:
    fed = [parse_input(text) for text in inputs]
    if reference is not None:
        return count_reference(reference, inputs=fed, batch=batch)
    (chosen,) = variants([str(variant)])
    return count_variant(chosen, input=image(fed), batch=batch)
