"""The task of a worker that counts prefill, decode and training of a causal language model of transformers.

The model is built from its configuration on meta tensors; see `analyzer.models.references`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.serialize import from_json
from analyzer.counting.api import count_module
from analyzer.counting.execution.randomness import seeded
from analyzer.language_models.kv_cache import CACHES, bytes_per_token, cache_after, stored_bytes, which_grow
from analyzer.models.failing_forward_errors import naming_the_model
from analyzer.models.optional_libraries import imported
from analyzer.models.references import resolve
from analyzer.records.record_json import record_to_json
from analyzer.records.training import TrainingSetup
from analyzer.worker.run_task import Send

# Names of the same setting over families.
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
# Settings of state-space layers and of linear attention.
SCANS = ("state_size", "ssm_state_size", "mamba_d_state", "linear_key_head_dim", "attention_hidden_size")
PER_TOKEN = ("num_experts_per_tok", "moe_topk", "num_experts_per_token", "moe_k")


@naming_the_model
def handle(request: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
    """Sends the architecture, then a record of the prefill, of a decode step and of a training step.

    For each length of `curve`, also the prefill of so many tokens and the step after them.
    """
    reference, batch, prompt, context = (request[name] for name in ("reference", "batch", "prompt", "context"))
    bits, group, curve = request["cache_bits"], request["cache_group"], request["curve"]
    with seeded():
        model = _causal_model(reference)
    if request["dtype"]:
        model = model.to(getattr(torch, request["dtype"]))
    if getattr(model.config, "is_encoder_decoder", False):
        raise AnalyzerError(
            f"{one_line(reference)}: {type(model).__name__} has an encoder; analyze llm counts decoders alone; "
            "analyze and analyze scale count all of it"
        )
    arguments = inspect.signature(model.forward).parameters
    name = next((name for name in CACHES if name in arguments), None)
    if name is None or "input_ids" not in arguments:
        raise AnalyzerError(f"{one_line(reference)}: {type(model).__name__} generates no text: it takes no cache")
    send({"event": "architecture", "architecture": _architecture(model)})
    caches = {"one": cache_after(model, batch, 1), "two": cache_after(model, batch, 2)}
    last = {"logits_to_keep": 1} if "logits_to_keep" in arguments else {}
    ids = torch.zeros(batch, prompt, dtype=torch.int64)
    prefill = count_module(model, (), {"input_ids": ids, "use_cache": False, **last}, train=False, memory=True)
    send({"event": "record", "name": "prefill", "record": record_to_json(prefill), "last": bool(last)})
    caches["context"] = cache_after(model, batch, context)
    caches |= {str(length): cache_after(model, batch, length) for length in curve}
    grows = which_grow(caches["one"], caches["two"])
    if bits and not any(grows):
        raise AnalyzerError(f"{one_line(reference)}: its cache does not grow with the text; leave out --cache-dtype")
    sizes = {length: stored_bytes(cache, grows, bits, group) for length, cache in caches.items()}
    sizes["token"] = bytes_per_token(sizes.pop("one"), sizes.pop("two"), batch)
    for length, size in sizes.items():
        send({"event": "cache", "name": length, "bytes": size})
    steps = {"decode": caches["context"], **{f"decode {length}": caches[str(length)] for length in curve}}
    for step, cache in steps.items():
        decode = count_module(model, (), {"input_ids": ids[:, :1], name: cache, "use_cache": True}, train=False)
        send({"event": "record", "name": step, "record": record_to_json(decode)})
    for length in curve:
        inputs = {"input_ids": torch.zeros(batch, length, dtype=torch.int64), "use_cache": False, **last}
        record = record_to_json(count_module(model, (), inputs, train=False))
        send({"event": "record", "name": f"prefill {length}", "record": record})
    setup = from_json(TrainingSetup, request["setup"]) if request["setup"] else False
    training = count_module(model, (), {"input_ids": ids[:1], "use_cache": False}, train=True, memory=setup)
    send({"event": "record", "name": "training", "record": record_to_json(training)})
    return {"event": "done"}


def _causal_model(reference: str) -> nn.Module:
    """The model with its output layer. `hf:gpt2` alone is the base model, which has none."""
    loaded: Any = resolve(reference).model
    config = getattr(loaded, "config", None)
    library = imported("transformers")
    if not isinstance(config, library.PreTrainedConfig):
        raise AnalyzerError(f"{one_line(reference)} is no model of transformers; give hf:NAME or hf:FOLDER")
    if hasattr(loaded, "lm_head") or (loaded.get_output_embeddings() is not None):
        model: nn.Module = loaded
        return model
    if type(config) not in library.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise AnalyzerError(f"{one_line(reference)}: {type(loaded).__name__} is no causal language model")
    with torch.device("meta"):
        model = library.AutoModelForCausalLM.from_config(config)
    return model.eval()


def _architecture(model: Any) -> dict[str, Any]:
    """What formulas of frameworks need, from the configuration and the parameters."""
    config = model.config.get_text_config()
    heads = _first(config, "num_attention_heads", "n_head") or 0
    hidden = _first(config, "hidden_size", "n_embd", "d_model") or 0
    layers = _first(config, "num_hidden_layers", "n_layer") or 0
    window = _first(config, "sliding_window") if getattr(config, "use_sliding_window", True) else None
    kinds = getattr(config, "layer_types", None) or ["sliding_attention" if window else "full_attention"] * layers
    names = [name for name, _ in model.named_parameters()]
    embedding = model.get_input_embeddings().weight
    output = model.get_output_embeddings()
    experts = _first(config, *EXPERTS) or 0
    gated = any(part in name for name in names for part in ("gate_proj", "gate_up_proj", ".w3.", ".v1"))
    return {
        "class_name": type(model).__name__,
        "dtype": str(embedding.dtype).removeprefix("torch."),
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "kv_heads": _first(config, "num_key_value_heads") or heads,
        "head_size": _first(config, "head_dim") or (hidden // heads if heads else 0),
        "feed_forward": _first(config, "intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_dim")
        or 4 * hidden,
        "expert_feed_forward": (_first(config, "moe_intermediate_size", "intermediate_size") or 0) if experts else 0,
        "vocabulary": config.vocab_size,
        "positions": _first(config, "max_position_embeddings", "n_positions") or 0,
        "experts": experts,
        "experts_per_token": _first(config, *PER_TOKEN) or 0,
        "shared_feed_forward": _shared_feed_forward(model, hidden, gated=gated),
        "gated": gated,
        "window": window or 0,
        "windowed_layers": [index for index, kind in enumerate(kinds) if kind == "sliding_attention" and window],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parameter_bytes": sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        "embedding_parameters": embedding.numel(),
        "position_parameters": sum(
            parameter.numel()
            for name, parameter in model.named_parameters()
            if name.endswith(("wpe.weight", "embed_positions.weight"))
        ),
        "tied": output is not None and output.weight is embedding,
        "expert_parameters": sum(
            parameter.numel() for name, parameter in model.named_parameters() if "experts" in name.split(".")
        ),
        "expert_layers": len(_layers_with(names, "experts")),
        "latent": _latent(config),
        "scan": any(hasattr(config, name) for name in SCANS),
    }


def _layers_with(names: Iterable[str], module: str) -> set[str]:
    """The paths in front of a module of this name: of `model.layers.3.mlp.experts.5.up_proj` up to `mlp`."""
    return {name.split(f".{module}.")[0] for name in names if f".{module}." in name}


def _shared_feed_forward(model: nn.Module, hidden: int, *, gated: bool) -> int:
    """The width of the shared experts of a layer, from the size of their two or three matrices."""
    for module in ("shared_experts", "shared_expert", "shared_mlp"):
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters() if f".{module}." in name}
        if sizes:
            return sum(sizes.values()) // (len(_layers_with(sizes, module)) * hidden * (3 if gated else 2))
    return 0


def _latent(config: Any) -> dict[str, int] | None:
    rank = _first(config, "kv_lora_rank")
    if not rank:
        return None
    return {
        "query_rank": _first(config, "q_lora_rank") or 0,
        "rank": rank,
        "unrotated": _first(config, "qk_nope_head_dim") or 0,
        "rotated": _first(config, "qk_rope_head_dim") or 0,
        "value": _first(config, "v_head_dim") or 0,
    }


def _first(config: Any, *names: str) -> int | None:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
