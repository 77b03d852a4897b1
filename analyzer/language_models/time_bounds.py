"""Lower bounds on the time of prefill and decode on a device, and the split over several by tensors and by experts.

A step takes at least its FLOPs ÷ the peak rate and at least the bytes that it must read ÷ the bandwidth (roofline,
Williams, Waterman and Patterson 2009). Needed bytes are the weights once and the cache once; activations may stay on
the chip. Needed FLOPs are 2 per multiply-add, of attention only those under its mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.language_models.prefill_and_decode import LanguageModel

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


class Parallel(Frozen):
    """`tensor` devices divide every matrix; `expert` groups of them divide the experts and the sequences."""

    tensor: int = 1
    expert: int = 1

    @property
    def devices(self) -> int:
        return self.tensor * self.expert


ONE_DEVICE = Parallel()


class Shard(Frozen):
    """What one of `devices` holds and sends.

    `cache_bytes`: key heads are divided, or copied if there are fewer; latents are copied.
    `sent` is by all-reduce of tensor parallelism, `exchanged` by all-to-all of expert parallelism.
    """

    devices: int
    sequences: int
    experts: int
    weight_bytes: int
    cache_bytes: int
    prefill_sent: int
    decode_sent: int
    prefill_exchanged: int
    decode_exchanged: int


def device_for(published: Mapping[str, Any], dtype: str) -> Device:
    """Raises AnalyzerError if the device has no published peak for the type, or no bandwidth."""
    peak = next((published[f"{name}_tflops"] for name in PEAKS[dtype] if published.get(f"{name}_tflops")), None)
    bandwidth = published.get("dram_gb_per_s")
    if peak is None or not bandwidth:
        missing = f"peak for {dtype}" if peak is None else "memory bandwidth"
        raise AnalyzerError(f"{one_line(published['name'])} has no published {missing}; give another --dtype or device")
    capacity = int((published.get("memory_gb") or 0) * 10**9)
    return Device(str(published["name"]), peak * 1e12, bandwidth * 1e9, capacity)


def prefill_bound(model: LanguageModel, device: Device, parallel: Parallel = ONE_DEVICE) -> Bound:
    flops = 2 * model.prefill_macs("needed")
    read = _weights_read(model, model.batch * model.prompt)
    return Bound(flops / device.flops_per_s / parallel.devices, read / device.bytes_per_s / parallel.devices)


def decode_bound(model: LanguageModel, device: Device, parallel: Parallel = ONE_DEVICE) -> Bound:
    """Of the last step, which has the longest cache. Each device reads its weights, of experts an equal part."""
    part = shard(model, parallel)
    dense = _weights_read(model, model.batch, experts=False)
    experts = _weights_read(model, model.batch) - dense
    read = dense / parallel.tensor + experts / parallel.devices + part.cache_bytes
    return Bound(2 * model.decode_macs("needed") / device.flops_per_s / parallel.devices, read / device.bytes_per_s)


def _weights_read(model: LanguageModel, tokens: int, *, experts: bool = True) -> int:
    architecture = model.architecture
    parameters = architecture.read_parameters(tokens if experts else 0)
    return parameters * model.weight_bytes // architecture.parameters


def shard(model: LanguageModel, parallel: Parallel) -> Shard:
    """The largest part of a device.

    Tensor parallelism (Shoeybi et al. 2019): two all-reduces per layer, each of the hidden states of all tokens. In a
    ring each device sends 2 · (devices - 1) ÷ devices of what is reduced. Expert parallelism (Lepikhin et al. 2020): in
    each layer with experts, a token's hidden state goes to the devices of its experts and back; with experts chosen
    evenly, (groups - 1) ÷ groups of them are elsewhere.
    """
    architecture, tensor, groups = model.architecture, parallel.tensor, parallel.expert
    element = model.weight_bytes // architecture.parameters
    hidden = architecture.hidden * element
    reduced = 2 * (tensor - 1) * 2 * architecture.layers * hidden // tensor
    exchanged = 2 * architecture.expert_layers * architecture.experts_per_token * hidden * (groups - 1) // groups
    sequences = -(-model.batch // groups)
    experts = -(-architecture.experts // groups)
    expert_bytes = architecture.expert_parameters * element
    held = expert_bytes * experts // architecture.experts if architecture.experts else 0
    cache = -(-model.cache_bytes * sequences // model.batch)
    return Shard(
        devices=parallel.devices,
        sequences=sequences,
        experts=experts,
        weight_bytes=-(-(model.weight_bytes - expert_bytes + held) // tensor),
        cache_bytes=-(-cache // min(tensor, architecture.cache_heads)),
        prefill_sent=sequences * model.prompt * reduced,
        decode_sent=sequences * reduced,
        prefill_exchanged=sequences * model.prompt * exchanged,
        decode_exchanged=sequences * exchanged,
    )


def largest_batch(model: LanguageModel, capacity: int, parallel: Parallel = ONE_DEVICE) -> int:
    """The largest batch whose weights, cache and activations fit into every device; 0 if the weights alone do not.

    Tensor parallelism divides the activations evenly, which is the least that a device can need.
    """
    part = shard(model, parallel)
    each = part.cache_bytes / part.sequences + model.activation_bytes / model.batch / parallel.tensor
    return max(int((capacity - part.weight_bytes) // each), 0) * parallel.expert if each else 0


def utilization(tokens_per_s: float, flops_per_token: float, device: Device, devices: int = 1) -> float:
    """Model FLOPs utilization (Chowdhery et al. 2022): the share of the peak that a throughput of training reaches."""
    return tokens_per_s * flops_per_token / (device.flops_per_s * devices)
