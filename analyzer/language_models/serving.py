"""Lower bounds on the time of prefill and decode on a device, and the split over several (tensor parallelism).

A step takes at least its FLOPs ÷ the peak rate and at least the bytes that it must read ÷ the bandwidth (roofline,
Williams, Waterman and Patterson 2009). Needed bytes are the weights once and the cache once; activations may stay on
the chip. Needed FLOPs are 2 per multiply-add, of attention only those under its mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.language_models.model import LanguageModel

PEAKS = {"float32": ("tf32", "fp32"), "bfloat16": ("bf16",), "float16": ("fp16",)}


class Device(Frozen):
    """Published figures of a device: FLOP/s of a type, bytes/s, and bytes of memory (0 if unknown)."""

    name: str
    flops_per_s: float
    bytes_per_s: float
    capacity: int


class Bound(Frozen):
    """The least time of a step in seconds, and which of compute and memory sets it."""

    compute_s: float
    memory_s: float

    @property
    def seconds(self) -> float:
        return max(self.compute_s, self.memory_s)

    @property
    def limit(self) -> str:
        return "compute" if self.compute_s > self.memory_s else "memory"


class Shard(Frozen):
    """What one of `devices` holds and sends. `cache_bytes`: key heads are divided, or copied if there are fewer."""

    devices: int
    weight_bytes: int
    cache_bytes: int
    prefill_sent: int
    decode_sent: int


def device_for(published: Mapping[str, Any], dtype: str) -> Device:
    """Raises AnalyzerError if the device has no published peak for the type, or no bandwidth."""
    peak = next((published[f"{name}_tflops"] for name in PEAKS[dtype] if published.get(f"{name}_tflops")), None)
    bandwidth = published.get("dram_gb_per_s")
    if peak is None or not bandwidth:
        missing = f"peak for {dtype}" if peak is None else "memory bandwidth"
        raise AnalyzerError(f"{one_line(published['name'])} has no published {missing}; give another --dtype or device")
    capacity = int((published.get("memory_gb") or 0) * 10**9)
    return Device(str(published["name"]), peak * 1e12, bandwidth * 1e9, capacity)


def prefill_bound(model: LanguageModel, device: Device, devices: int = 1) -> Bound:
    flops = 2 * model.prefill_macs("needed")
    read = _weights_read(model, model.batch * model.prompt)
    return Bound(flops / device.flops_per_s / devices, read / device.bytes_per_s / devices)


def decode_bound(model: LanguageModel, device: Device, devices: int = 1) -> Bound:
    """Of the last step, which has the longest cache."""
    part = shard(model, devices)
    read = _weights_read(model, model.batch) / devices + part.cache_bytes
    return Bound(2 * model.decode_macs / device.flops_per_s / devices, read / device.bytes_per_s)


def _weights_read(model: LanguageModel, tokens: int) -> int:
    architecture = model.architecture
    return architecture.read_parameters(tokens) * model.weight_bytes // architecture.parameters


def shard(model: LanguageModel, devices: int) -> Shard:
    """Tensor parallelism (Shoeybi et al. 2019): two all-reduces per layer, each of the hidden states of all tokens.

    In a ring each device sends 2 · (devices - 1) ÷ devices of what is reduced.
    """
    architecture = model.architecture
    element = model.weight_bytes // architecture.parameters
    reduced = 2 * architecture.layers * architecture.hidden * element
    per_token = 2 * (devices - 1) * reduced // devices
    return Shard(
        devices=devices,
        weight_bytes=-(-model.weight_bytes // devices),
        cache_bytes=-(-model.cache_bytes // min(devices, max(architecture.kv_heads, 1))),
        prefill_sent=model.batch * model.prompt * per_token,
        decode_sent=model.batch * per_token,
    )


def utilization(tokens_per_s: float, flops_per_token: float, device: Device, devices: int = 1) -> float:
    """Model FLOPs utilization (Chowdhery et al. 2022): the share of the peak that a throughput of training reaches."""
    return tokens_per_s * flops_per_token / (device.flops_per_s * devices)
