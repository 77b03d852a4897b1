"""What a peer says: figures by module and operator in its own unit, or why it says nothing. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from analyzer.core.frozen import Frozen

Status: TypeAlias = Literal["ok", "failed", "missing"]


class Peer(Frozen):
    """Another counter: what to import, how many of its units it gives a multiply-add, and its convention in words."""

    name: str
    package: str
    per_mac: int
    convention: str
    extra: str | None = "macscope[peers]"


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("fvcore", "fvcore", 1, "FLOPs, a multiply-add is 1; norms and adaptive pools in the same sum", "macscope"),
        Peer("FlopCounterMode", "torch", 2, "FLOPs of matrix products and convolutions, a multiply-add is 2", None),
        Peer("profiler", "torch", 2, "FLOPs, a multiply-add is 2; add and mul are 1 an element", None),
        Peer("ptflops", "ptflops", 1, "MACs of one sample; one operation of anything else counts as a MAC"),
        Peer("thop", "thop", 1, "MACs; norms, pools and gates in the same sum"),
        Peer("torchinfo", "torchinfo", 1, "mult-adds of leaf layers, from the sizes of their parameters"),
        Peer("calflops", "calflops", 1, "MACs; its FLOPs are another figure, with activations, norms and pools"),
        Peer("deepspeed", "deepspeed", 1, "MACs; its FLOPs are another figure", "deepspeed"),
    )
}


class PeerRow(Frozen):
    """What a peer adds to its total for one operator of one module, in its own unit.

    `path` is ours: the first name of a module that has several. `source` tells apart the ways on which a peer comes to
    one and the same work, such as the further names of a shared module.
    """

    path: str
    op: str
    figure: int
    source: str = ""


class Opinion(Frozen):
    """One peer's answer. `total` is the figure that it prints, in its own unit; a status other than ok has a reason."""

    peer: str
    status: Status
    reason: str = ""
    version: str = ""
    total: int = 0
    rows: tuple[PeerRow, ...] = ()


def to_json(opinion: Opinion) -> dict[str, Any]:
    """An opinion as its process hands it over."""
    rows = [[row.path, row.op, row.figure, row.source] for row in opinion.rows]
    return {**{key: getattr(opinion, key) for key in Opinion.fields}, "rows": rows}


def from_json(data: Mapping[str, Any]) -> Opinion:
    return Opinion(**{**data, "rows": tuple(PeerRow(*row) for row in data["rows"])})
