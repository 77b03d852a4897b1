"""The multiply-adds of experts that no token chose. Some models compute every expert for each token (Llama 4)."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.language_models.architecture import Architecture
from analyzer.records.rows import Row


def idle_expert_macs(rows: Sequence[Row], architecture: Architecture, tokens: int, *, step: bool = False) -> int:
    """The MACs of experts beyond those that `tokens` tokens choose; with `step` also of the backward pass."""
    if not architecture.experts:
        return 0
    in_experts = [row for row in rows if row.macs and "experts" in row.path.split(".")]
    forward = sum(row.macs for row in in_experts)
    chosen = tokens * architecture.experts_per_token * architecture.expert_parameters // architecture.experts
    if forward <= chosen:
        return 0
    backward = sum((row.backward_macs or 0) + (row.recomputed_macs or 0) for row in in_experts) if step else 0
    return forward + backward - (forward + backward) * chosen // forward
