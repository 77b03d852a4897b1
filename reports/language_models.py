"""Tables and JSON of `analyze llm`."""

from __future__ import annotations

import json
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.core.units import percent, scaled, seconds
from analyzer.language_models.frameworks import FORMULAS
from analyzer.language_models.model import LanguageModel
from analyzer.language_models.serving import Device, decode_bound, prefill_bound, shard, utilization
from reports.table import MISSING, Cell, Row, Table, columns

CONVENTIONS = ("whole", "causal", "needed")


class Setting(Frozen):
    """A device, how many of them share the model, and a measured throughput of training in tokens per second."""

    device: Device | None = None
    devices: int = 1
    tokens_per_s: float | None = None


def tables(model: LanguageModel, setting: Setting) -> list[Table]:
    shown = [_sizes(model), _flops(model), _frameworks(model, setting)]
    return [*shown, _bounds(model, setting)] if setting.device else shown


def _bytes(value: float) -> Cell:
    return Cell(scaled(value, "B"), value)


def _number(value: float) -> Cell:
    return Cell(scaled(value), value)


def _sizes(model: LanguageModel) -> Table:
    architecture = model.architecture
    tied = "also the output layer" if architecture.tied else ""
    rows: list[Row] = [
        ("parameters", _number(architecture.parameters), f"{architecture.parameters:,}"),
        ("  active per token", _number(architecture.active_parameters), _experts(model)),
        ("  input embedding", _number(architecture.embedding_parameters), tied),
        ("weights", _bytes(model.weight_bytes), architecture.dtype),
        ("KV cache per token", _bytes(model.bytes_per_token), "of one sequence"),
        ("KV cache", _bytes(model.cache_bytes), f"{model.batch} x {model.context:,} tokens"),
        ("activations", _bytes(model.activation_bytes), "peak of the prefill"),
        ("memory", _bytes(model.memory_bytes(model.batch)), "weights, cache and activations"),
    ]  # fmt: skip
    title = (
        f"{one_line(model.reference)} ({one_line(architecture.class_name)}): batch {model.batch}, "
        f"prompt {model.prompt:,}, decode {model.decode:,}"
    )
    return Table(title, columns("", "size", "", left={""}), tuple(rows), notes=model.prefill.strict_notes)


def _experts(model: LanguageModel) -> str:
    architecture = model.architecture
    if not architecture.experts:
        return ""
    return f"{architecture.experts_per_token} of {architecture.experts} experts"


def _flops(model: LanguageModel) -> Table:
    rows: list[Row] = [
        ("prefill", *(_number(value) for value in _per_token(model)["prefill"].values())),
        ("decode, last step", *(_number(value) for value in _per_token(model)["decode"].values())),
        ("training", *(_number(value) for value in _per_token(model)["training"].values())),
    ]
    last = "The prefill computes the output layer for the last token only. " if model.last_logits else ""
    notes = (
        "FLOPs here are 2 x MACs. Attention: whole is what dense kernels run, causal what the mask needs, needed also "
        "leaves out keys outside of windows.",
        f"{last}Training is forward and backward.",
    )
    return Table("FLOPs per token", columns("", *CONVENTIONS), tuple(rows), notes=notes)


def _per_token(model: LanguageModel) -> dict[str, dict[str, float]]:
    tokens = model.batch * model.prompt
    return {
        "prefill": {name: 2 * model.prefill_macs(name) / tokens for name in CONVENTIONS},  # type: ignore[arg-type]
        "decode": dict.fromkeys(CONVENTIONS, 2 * model.decode_macs / model.batch),
        "training": {name: 2 * model.training_macs(name) / model.prompt for name in CONVENTIONS},  # type: ignore[arg-type]
    }


def _frameworks(model: LanguageModel, setting: Setting) -> Table:
    counted = _per_token(model)["training"]
    lines: list[tuple[str, float, str]] = [
        ("counted, whole", counted["whole"], "all products that run"),
        ("counted, causal", counted["causal"], "attention under its mask"),
        *((f.name, f.flops(model.architecture, model.prompt), f.differs) for f in FORMULAS),
    ]
    device = setting.device
    with_rate = device is not None and setting.tokens_per_s is not None
    rows: list[Row] = []
    for name, flops, differs in lines:
        relative = Cell(f"{flops / counted['whole']:.4f}", flops / counted["whole"])
        rate: tuple[Cell, ...] = ()
        if device is not None and setting.tokens_per_s is not None:
            share = utilization(setting.tokens_per_s, flops, device, setting.devices)
            rate = (Cell(percent(share), share),)
        rows.append((name, _number(flops), relative, *rate, differs))
    titles = ["FLOPs", "÷ whole", *(["MFU"] if with_rate else []), "differs by"]
    notes = (
        (f"MFU of {setting.tokens_per_s:,.0f} tokens/s on {setting.devices} x {device.name}.",)
        if with_rate and device
        else ()
    )
    return Table("FLOPs of one training token, by convention", columns("", *titles, left={"differs by"}), tuple(rows),
                 notes=notes)  # fmt: skip


def _bounds(model: LanguageModel, setting: Setting) -> Table:
    assert setting.device is not None
    device, part = setting.device, shard(model, setting.devices)
    prefill, decode = (bound(model, device, setting.devices) for bound in (prefill_bound, decode_bound))
    largest = model.largest_batch(device.capacity * setting.devices)
    capacity = f"memory of {setting.devices} x {device.capacity / 1e9:g} GB" if device.capacity else "memory unknown"
    rows: list[Row] = [
        ("prefill (time to first token)", f"at least {seconds(prefill.seconds)}", f"bound by {prefill.limit}"),
        ("decode (time per output token)", f"at least {seconds(decode.seconds)}", f"bound by {decode.limit}"),
        ("output tokens per second", f"at most {scaled(model.batch / decode.seconds)}", f"batch {model.batch}"),
        ("largest batch", f"{largest:,}" if device.capacity else MISSING, capacity),
    ]  # fmt: skip
    if setting.devices > 1:
        rows += [
            ("weights per device", scaled(part.weight_bytes, "B"), ""),
            ("KV cache per device", scaled(part.cache_bytes, "B"), f"{model.architecture.kv_heads} key heads"),
            ("sent per device, prefill", scaled(part.prefill_sent, "B"), "all-reduce, ring"),
            ("sent per device, decode", scaled(part.decode_sent, "B"), "all-reduce, ring"),
        ]
    note = "Lower bounds by published peaks (roofline), without communication and other overhead; no forecast."
    return Table(f"{setting.devices} x {device.name}", columns("", "bound", "", left={""}), tuple(rows), notes=(note,))


def dump(model: LanguageModel, setting: Setting) -> str:
    """JSON: all figures, with the convention of each."""
    architecture = model.architecture
    data: dict[str, Any] = {
        "schema_version": 1,
        "status": "ok",
        "model": model.reference,
        "architecture": {name: getattr(architecture, name) for name in architecture.fields},
        "batch": model.batch,
        "prompt": model.prompt,
        "decode": model.decode,
        "active_parameters": architecture.active_parameters,
        "weight_bytes": model.weight_bytes,
        "cache_bytes": model.cache_bytes,
        "cache_bytes_per_token": model.bytes_per_token,
        "activation_bytes": model.activation_bytes,
        "flops_per_token": _per_token(model),
        "last_logits_only": model.last_logits,
        "training_flops_per_token": {f.name: f.flops(architecture, model.prompt) for f in FORMULAS},
        "notes": sorted({*model.prefill.notes, *model.step.notes, *model.training.notes}),
    }
    if setting.device:
        prefill, decode = (bound(model, setting.device, setting.devices) for bound in (prefill_bound, decode_bound))
        part = shard(model, setting.devices)
        data["device"] = {
            "name": setting.device.name,
            "devices": setting.devices,
            "prefill_s_at_least": prefill.seconds,
            "prefill_limit": prefill.limit,
            "decode_s_at_least": decode.seconds,
            "decode_limit": decode.limit,
            "largest_batch": model.largest_batch(setting.device.capacity * setting.devices),
            "shard": {name: getattr(part, name) for name in part.fields},
        }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
