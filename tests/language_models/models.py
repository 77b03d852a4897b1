"""Architectures for tests."""

from __future__ import annotations

from typing import Any

from analyzer.language_models.architecture import Architecture

LLAMA_8B = {
    "class_name": "LlamaForCausalLM",
    "dtype": "bfloat16",
    "layers": 32,
    "hidden": 4096,
    "heads": 32,
    "kv_heads": 8,
    "head_size": 128,
    "feed_forward": 14336,
    "expert_feed_forward": 0,
    "vocabulary": 128256,
    "positions": 131072,
    "experts": 0,
    "experts_per_token": 0,
    "shared_feed_forward": 0,
    "gated": True,
    "window": 0,
    "windowed_layers": (),
    "parameters": 8_030_261_248,
    "parameter_bytes": 2 * 8_030_261_248,
    "embedding_parameters": 128256 * 4096,
    "position_parameters": 0,
    "tied": False,
    "expert_parameters": 0,
}
MIXTRAL = {
    **LLAMA_8B,
    "class_name": "MixtralForCausalLM",
    "vocabulary": 32000,
    "experts": 8,
    "experts_per_token": 2,
    "expert_feed_forward": 14336,
    "expert_layers": 32,
    "parameters": 46_702_792_704,
    "parameter_bytes": 2 * 46_702_792_704,
    "embedding_parameters": 32000 * 4096,
    "expert_parameters": 32 * 8 * 3 * 4096 * 14336,
}


def architecture(base: dict[str, Any] = LLAMA_8B, **changes: Any) -> Architecture:
    return Architecture(**{**base, **changes})
