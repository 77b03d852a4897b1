"""Runs each peer in a worker process; a crash, a timeout or a missing package becomes its result."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.serialize import from_json
from analyzer.reconcile.peers import Peer, PeerResult
from analyzer.worker import client

TIME_LIMIT_S = 300.0
NO_LIMIT_S = 1e6
TASK = "analyzer.reconcile.peer_task"


def run_peers(
    peers: Sequence[Peer], request: Mapping[str, Any], *, limit_s: float | None = TIME_LIMIT_S
) -> list[PeerResult]:
    """Each peer's result on the requested model; a peer may take `limit_s` seconds, or any time if None."""
    return [_run_peer(peer, request, limit_s) for peer in peers]


def _run_peer(peer: Peer, request: Mapping[str, Any], limit_s: float | None) -> PeerResult:
    if find_spec(peer.package) is None:
        return PeerResult(peer.name, "missing", f"not installed; pip install {peer.install}")
    with tempfile.TemporaryFile() as printed:
        reply = client.ask(
            TASK, {"peer": peer.name, **request}, limit_s or NO_LIMIT_S, model=peer.name, printed=printed.fileno()
        )
        printed.seek(0)
        lines = printed.read().decode(errors="replace").strip().splitlines()
    if reply.end == "done":
        try:
            return from_json(PeerResult, reply.last("done")["result"])
        except (KeyError, TypeError, ValueError) as error:
            return PeerResult(peer.name, "failed", f"its result cannot be read: {one_line(error)}")
    last_line = one_line(lines[-1])[:200] if lines and reply.end == "lost" else ""
    return PeerResult(peer.name, "failed", "; ".join(filter(None, (reply.reason, last_line))))
