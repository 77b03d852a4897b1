"""The peers, and the result of running one: figures by module and operator, or why there are none. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen

Status: TypeAlias = Literal["ok", "failed", "missing"]


class Peer(Frozen):
    """Another counting tool: `package` to import, its units per MAC, its convention, and what pip installs."""

    name: str
    package: str
    per_mac: int
    convention: str
    install: str = "'.[peers]' from a checkout"


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("fvcore", "fvcore", 1, "FLOPs, a MAC is 1; includes norms and adaptive pools", "fvcore"),
        Peer("FlopCounterMode", "torch", 2, "FLOPs of matrix products and convolutions, a MAC is 2", "torch"),
        Peer("profiler", "torch", 2, "FLOPs, a MAC is 2; add and mul are 1 per element", "torch"),
        Peer("ptflops", "ptflops", 1, "MACs of one sample; any other operation counts as one MAC"),
        Peer("thop", "thop", 1, "MACs; includes norms, pools and gates"),
        Peer("torchinfo", "torchinfo", 1, "MACs of leaf layers, from the sizes of their parameters"),
        Peer("calflops", "calflops", 1, "MACs; its FLOPs are separate and include activations, norms and pools"),
        Peer("deepspeed", "deepspeed", 1, "MACs; its FLOPs are separate", "deepspeed"),
    )
}


class PeerRow(Frozen):
    """A peer's count of one operator of one module, in the peer's unit.

    `path` is the module's path in macscope's rows: the first name of a module that has several. `source` distinguishes
    the routes by which a peer reaches the same work, such as the further names of a shared module.
    """

    path: str
    op: str
    figure: int
    source: str = ""


class PeerResult(Frozen):
    """One peer's result. `total` is the printed total, in the peer's unit; a status other than ok has a reason."""

    peer: str
    status: Status
    reason: str = ""
    version: str = ""
    total: int = 0
    rows: tuple[PeerRow, ...] = ()
