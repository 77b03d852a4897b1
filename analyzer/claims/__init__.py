"""The claims of the GoogLeNet paper and of a study note, each with a verdict computed from counts at every call.

>>> find("5x5-branch-21.4x").verdict
'confirmed'
>>> saving("inception_3a.branch_5x5").verdict
'not reproduced'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from analyzer.claims import auxiliary, reduction, size, structure
from analyzer.claims.claim import VERDICTS, Claim, Claims, dump
from analyzer.claims.reduction import saving
from analyzer.core.errors import AnalyzerError, nearest, quoted

__all__ = ["VERDICTS", "Claim", "Claims", "dump", "find", "ledger", "saving"]

ENTRIES: Mapping[str, Callable[[], Claim]] = {
    "5x5-branch-without-1x1": reduction.branch_without,
    "5x5-branch-with-1x1": reduction.branch_with,
    "5x5-branch-21.4x": reduction.branch_saving,
    "21.4x-in-every-module": reduction.saving_everywhere,
    "21.4x-whole-network": reduction.saving_of_network,
    "12x-fewer-params": size.twelve_times_fewer,
    "1.5-billion-budget": size.budget,
    "flops-vs-alexnet": size.compute_against_alexnet,
    "22-layers": structure.layers,
    "about-100-blocks": structure.building_blocks,
    "gap-top1": size.average_pooling,
    "aux-weight": auxiliary.loss_weight,
    "aux-structure": auxiliary.heads_structure,
    "aux-removed": auxiliary.removed_at_inference,
    "dropout-40": structure.dropout,
    "fc-params-alexnet": size.alexnet_fully_connected,
    "1x1-lowers-compute": reduction.modules_affordable,
}


def ledger() -> Claims:
    """Every claim with its verdict."""
    return Claims(entry() for entry in ENTRIES.values())


def find(id: str) -> Claim:
    """The claim of that id. Raises AnalyzerError with the nearest ids if none exists."""
    if id not in ENTRIES:
        raise AnalyzerError(f"no claim {quoted(id)}; {nearest(id, ENTRIES)}; see analyze claims")
    return ENTRIES[id]()
