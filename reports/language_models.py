"""Tables and JSON of `analyze llm`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.core.serialize import to_json
from analyzer.core.units import percent, scaled, seconds
from analyzer.language_models.framework_formulas import formulas
from analyzer.language_models.prefill_and_decode import LanguageModel
from analyzer.language_models.time_bounds import (
    ONE_DEVICE,
    Device,
    Parallel,
    decode_bound,
    largest_batch,
    prefill_bound,
    shard,
    utilization,
)
from analyzer.records.memory import Memory
from analyzer.records.record_json import envelope
from analyzer.records.training import TrainingSetup
from reports.table import MISSING, Cell, Row, Table, columns

CONVENTIONS = ("full", "causal", "needed")


class Setting(Frozen):
    """A device, how several share the model, and a measured throughput of training in tokens per second."""

    device: Device | None = None
    parallel: Parallel = ONE_DEVICE
    tokens_per_s: float | None = None


def tables(model: LanguageModel, setting: Setting) -> list[Table]:
    shown = [_sizes(model), _flops(model), _frameworks(model, setting)]
    shown += [_training(model, model.training.memory)] if model.training.memory else []
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
        ("KV cache per token", _bytes(model.bytes_per_token), f"of one sequence, {_cache_type(model)}"),
        ("KV cache", _bytes(model.cache_bytes), f"{model.batch} x {model.context:,} tokens"),
        ("activations", _bytes(model.activation_bytes), "peak of the prefill"),
        ("memory", _bytes(model.memory_bytes(model.batch)), "weights, cache and activations"),
    ]  # fmt: skip
    title = (
        f"{one_line(model.reference)} ({one_line(architecture.class_name)}): batch {model.batch}, "
        f"prompt {model.prompt:,}, decode {model.decode:,}"
    )
    return Table(title, columns("", "size", "", left={""}), tuple(rows), notes=model.prefill.strict_notes)


def _cache_type(model: LanguageModel) -> str:
    scales = f" with scale and zero point per {model.cache_group}" if model.cache_group else ""
    return f"{one_line(model.cache_dtype)}{scales}"


def _experts(model: LanguageModel) -> str:
    architecture = model.architecture
    if not architecture.experts:
        return ""
    return f"{architecture.experts_per_token} of {architecture.experts} experts"


def _flops(model: LanguageModel) -> Table:
    per_token, all_operations = _per_token(model), _all_operations(model)
    rows: list[Row] = [
        (title, *(_number(value) for value in per_token[name].values()), _number(all_operations[name]))
        for name, title in (("prefill", "prefill"), ("decode", "decode, last step"), ("training", "training"))
    ]
    last = "The prefill computes the output layer for the last token only. " if model.last_logits else ""
    notes: tuple[str, ...] = (
        "FLOPs are 2 x MACs. Attention: full is every query with every key, as dense kernels run; causal is what the "
        "mask keeps; needed also leaves out keys outside of windows. all operations: full with elementwise ones.",
        f"{last}Training is forward and backward.",
    )
    if model.computes_all_experts:
        experts = f"{model.architecture.experts_per_token} of {model.architecture.experts}"
        notes += (
            f"The model's code computes all experts for each token; needed counts the {experts} that it chooses.",
        )
    if model.architecture.scan:
        elementwise = all_operations["prefill"] - per_token["prefill"]["full"]
        notes += (
            "State-space layers and linear attention compute their scan elementwise, so MACs do not include it. "
            f"All elementwise operations are {scaled(elementwise)} FLOPs per token of the prefill.",
        )
    return Table("FLOPs per token", columns("", *CONVENTIONS, "all operations"), tuple(rows), notes=notes)


def _all_operations(model: LanguageModel) -> dict[str, float]:
    """FLOPs per token of MACs and of all other operations; of the backward pass only MACs are counted."""
    return {
        "prefill": model.prefill.totals.flops / (model.batch * model.prompt),
        "decode": model.step.totals.flops / model.batch,
        "training": (model.training.totals.value("step_flops") or 0) / model.prompt,
    }


def _per_token(model: LanguageModel) -> dict[str, dict[str, float]]:
    tokens = model.batch * model.prompt
    return {
        "prefill": {name: 2 * model.prefill_macs(name) / tokens for name in CONVENTIONS},  # type: ignore[arg-type]
        "decode": {name: 2 * model.decode_macs(name) / model.batch for name in CONVENTIONS},  # type: ignore[arg-type]
        "training": {name: 2 * model.training_macs(name) / model.prompt for name in CONVENTIONS},  # type: ignore[arg-type]
    }


def _frameworks(model: LanguageModel, setting: Setting) -> Table:
    counted = _per_token(model)["training"]
    lines: list[tuple[str, float, str]] = [
        ("counted, full", counted["full"], "all products that run"),
        ("counted, causal", counted["causal"], "attention under its mask"),
        *([("counted, needed", counted["needed"], _needed(model))] if counted["needed"] != counted["causal"] else []),
        *((f.name, f.flops(model.architecture, model.prompt), f.differs) for f in formulas(model.architecture)),
    ]
    device = setting.device
    with_rate = device is not None and setting.tokens_per_s is not None
    rows: list[Row] = []
    for name, flops, differs in lines:
        relative = Cell(f"{flops / counted['full']:.4f}", flops / counted["full"])
        rate: tuple[Cell, ...] = ()
        if device is not None and setting.tokens_per_s is not None:
            share = utilization(setting.tokens_per_s, flops, device, setting.parallel.devices)
            rate = (Cell(percent(share), share),)
        rows.append((name, _number(flops), relative, *rate, differs))
    titles = ["FLOPs", "÷ full", *(["MFU"] if with_rate else []), "differs by"]
    notes = (
        (f"MFU of {setting.tokens_per_s:,.0f} tokens/s on {setting.parallel.devices} x {device.name}.",)
        if with_rate and device
        else ()
    )
    return Table("FLOPs of one training token, by convention", columns("", *titles, left={"differs by"}), tuple(rows),
                 notes=notes)  # fmt: skip


def _needed(model: LanguageModel) -> str:
    """What the needed convention leaves out of a training step beside masked pairs."""
    windows = ["keys outside windows"] if model.architecture.windowed_layers else []
    return f"no {' or '.join([*windows, *(['idle experts'] if model.computes_all_experts else [])])}"


def _training(model: LanguageModel, memory: Memory) -> Table:
    """The peak of a training step of one sequence, by purpose, on one device."""
    setup = memory.setup or TrainingSetup()
    terms = {name: value for name, value in memory.terms(setup.optimizer).items() if value}
    rows: list[Row] = [(name, _bytes(value)) for name, value in terms.items()]
    rows.append(("sum", _bytes(memory.total(setup.optimizer))))
    how = [setup.optimizer, setup.precision, f"stage {setup.stage} over {setup.devices}" if setup.devices > 1 else ""]
    title = f"Memory of training on one device: {', '.join(filter(None, how))}, one sequence of {model.prompt:,} tokens"
    return Table(title, columns("", "bytes"), tuple(rows), total=True)


def _bounds(model: LanguageModel, setting: Setting) -> Table:
    assert setting.device is not None
    device, parallel = setting.device, setting.parallel
    prefill, decode = (bound(model, device, parallel) for bound in (prefill_bound, decode_bound))
    largest = largest_batch(model, device.capacity, parallel)
    capacity = f"memory of {device.capacity / 1e9:g} GB each" if device.capacity else "memory unknown"
    rows: list[Row] = [
        ("prefill (time to first token)", f"at least {seconds(prefill.seconds)}", f"bound by {prefill.limit}"),
        ("decode (time per output token)", f"at least {seconds(decode.seconds)}", f"bound by {decode.limit}"),
        ("output tokens per second", f"at most {scaled(model.batch / decode.seconds)}", f"batch {model.batch}"),
        ("largest batch", f"{largest:,}" if device.capacity else MISSING, capacity),
        *_shard(model, parallel),
    ]  # fmt: skip
    notes = ["Lower bounds by published peaks (roofline), without communication and other overhead; not forecasts."]
    heads = model.architecture.heads
    if heads % parallel.tensor:
        notes.append(f"{heads} heads do not divide evenly over {parallel.tensor} devices: no split reaches the bounds.")
    split = " x ".join(
        f"{number} ({by})"
        for number, by in ((parallel.expert, "experts"), (parallel.tensor, "tensors"))
        if number > 1 and parallel.expert > 1
    )
    title = f"{parallel.devices} x {device.name}{f': {split}' if split else ''}"
    return Table(title, columns("", "bound", "", left={""}), tuple(rows), notes=tuple(notes))


def _shard(model: LanguageModel, parallel: Parallel) -> Iterator[Row]:
    """What one device holds and sends."""
    if parallel.devices == 1:
        return
    part, architecture = shard(model, parallel), model.architecture
    yield "FLOPs per device, prefill", _number(2 * model.prefill_macs("needed") / parallel.devices), "divided evenly"
    yield "FLOPs per device, decode", _number(2 * model.decode_macs("needed") / parallel.devices), "divided evenly"
    yield "weights per device", _bytes(part.weight_bytes), ""
    yield "KV cache per device", _bytes(part.cache_bytes), f"{part.sequences} of {model.batch} sequences"
    if parallel.tensor > 1:
        yield "sent per device, prefill", _bytes(part.prefill_sent), "all-reduce, ring"
        yield "sent per device, decode", _bytes(part.decode_sent), "all-reduce, ring"
    if parallel.expert > 1:
        yield (
            "experts per device",
            f"{part.experts}",
            f"of {architecture.experts} in {architecture.expert_layers} layers",
        )
        yield "exchanged per device, prefill", _bytes(part.prefill_exchanged), "all-to-all, even choice"
        yield "exchanged per device, decode", _bytes(part.decode_exchanged), "all-to-all, even choice"


def dump(model: LanguageModel, setting: Setting) -> str:
    """JSON: all figures, with the convention of each."""
    architecture = model.architecture
    data: dict[str, Any] = {
        "model": model.reference,
        "architecture": to_json(architecture),
        "batch": model.batch,
        "prompt": model.prompt,
        "decode": model.decode,
        "active_parameters": architecture.active_parameters,
        "weight_bytes": model.weight_bytes,
        "cache_bytes": model.cache_bytes,
        "cache_bytes_per_token": model.bytes_per_token,
        "cache_dtype": model.cache_dtype,
        "cache_group": model.cache_group or None,
        "activation_bytes": model.activation_bytes,
        "flops_per_token": _per_token(model),
        "flops_per_token_of_all_operations": _all_operations(model),
        "last_logits_only": model.last_logits,
        "training_flops_per_token": {f.name: f.flops(architecture, model.prompt) for f in formulas(architecture)},
        "notes": sorted({*model.prefill.notes, *model.step.notes, *model.training.notes}),
    }
    if setting.device:
        prefill, decode = (bound(model, setting.device, setting.parallel) for bound in (prefill_bound, decode_bound))
        part = shard(model, setting.parallel)
        data["device"] = {
            "name": setting.device.name,
            "devices": setting.parallel.devices,
            "tensor_parallel": setting.parallel.tensor,
            "expert_parallel": setting.parallel.expert,
            "prefill_s_at_least": prefill.seconds,
            "prefill_limit": prefill.limit,
            "decode_s_at_least": decode.seconds,
            "decode_limit": decode.limit,
            "largest_batch": largest_batch(model, setting.device.capacity, setting.parallel),
            "shard": {name: getattr(part, name) for name in part.fields},
        }
    if memory := model.training.memory:
        optimizer = memory.optimizer
        data["training_memory"] = {"optimizer": optimizer, "peak": memory.total(optimizer), **memory.terms(optimizer)}
    if model.curve:
        data["curve"] = [
            {"tokens": at.prompt, "flops_per_token": {name: _per_token(at)[name] for name in ("prefill", "decode")},
             "cache_bytes": at.cache_bytes}
            for at in model.curve
        ]  # fmt: skip
    return envelope("ok", version=1, **data)
