"""Formulas of frameworks and bounds against arithmetic over the configuration of Llama 3 8B and Mixtral 8x7B."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.language_models.architecture import Latent
from analyzer.language_models.framework_formulas import FORMULAS
from analyzer.language_models.prefill_and_decode import LanguageModel
from analyzer.language_models.time_bounds import (
    Device,
    Parallel,
    decode_bound,
    device_for,
    largest_batch,
    prefill_bound,
    shard,
    utilization,
)
from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from analyzer.timing.peaks.published import device as find_device
from analyzer.timing.peaks.published import devices
from tests.language_models.models import LLAMA_8B, MIXTRAL, architecture

S, L, H, D, HIDDEN, KV, FEED, VOCABULARY = 2048, 32, 32, 128, 4096, 8, 14336, 128256
PROJECTIONS = HIDDEN * (H + 2 * KV) * D + H * D * HIDDEN
PRODUCTS = L * (PROJECTIONS + 3 * HIDDEN * FEED) + HIDDEN * VOCABULARY  # Weights that multiply each token.
PAIRS = L * 2 * S * H * D  # Multiply-adds of one token with S others.
FLOPS = {formula.name: formula.flops for formula in FORMULAS}


def test_the_weights_that_multiply_are_all_but_embedding_and_norms():
    assert PRODUCTS == 7_504_658_432
    assert 8_030_261_248 - VOCABULARY * HIDDEN - (2 * L + 1) * HIDDEN == PRODUCTS


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("6N", 6 * 8_030_261_248),
        ("PaLM", 6 * 8_030_261_248 + 6 * PAIRS),
        ("nanoGPT", 6 * 8_030_261_248 + 6 * PAIRS),
        ("torchtitan", 6 * (8_030_261_248 - VOCABULARY * HIDDEN) + 6 * PAIRS),
        ("Megatron-LM", 6 * (PRODUCTS + PAIRS)),
        ("MaxText", 6 * PRODUCTS + 3 * PAIRS),
    ],
)
def test_formulas_of_frameworks_on_llama(name, flops):
    assert FLOPS[name](architecture(), S) == flops


def test_a_mixture_of_experts_counts_those_that_a_token_chooses():
    model = architecture(MIXTRAL)
    assert model.active_parameters == 46_702_792_704 - 6 * 32 * 3 * 4096 * 14336 == 12_879_925_248
    expert = 3 * HIDDEN * FEED
    products = L * (PROJECTIONS + 2 * expert) + HIDDEN * 32000
    assert FLOPS["Megatron-LM"](model, S) == 6 * (products + PAIRS)
    # MaxText also counts the router: 4096 · 8 per layer.
    assert FLOPS["MaxText"](model, S) == 6 * (products + L * HIDDEN * 8) + 3 * PAIRS
    # One token reads 2 experts of 8, four tokens all of them.
    without_embedding = 46_702_792_704 - 32000 * 4096
    assert model.read_parameters(1) == without_embedding - 6 * L * expert
    assert model.read_parameters(4) == model.read_parameters(100) == without_embedding


def record(macs: int, attention: int = 0, tokens: int = 1) -> Record:
    """A record of one linear row, and one of attention with the rest of the MACs."""
    shape = ((1, H, tokens, D),) * 3
    rows = [
        Row("linear", "linear", "linear", 1, (), (), 0, 0, 0, macs - attention, 0, 0, 0, 0),
        Row("attn", "attn", "scaled_dot_product_attention", 1, shape, shape[:1], 0, 0, 0, attention, 0, 0, 0, 0),
    ]
    return Record("m", (), "inference", Count("dispatch", tuple(rows)))


def served(prompt: int, batch: int = 1, base: dict[str, Any] = LLAMA_8B) -> LanguageModel:
    """Llama 3 8B with a prompt: the products of every layer for each token, the output layer for the last."""
    blocks = PRODUCTS - HIDDEN * VOCABULARY
    attention = L * 2 * prompt * prompt * H * D
    prefill = record(prompt * blocks + HIDDEN * VOCABULARY + attention, attention, prompt)
    decode = record(PRODUCTS + L * 2 * (prompt + 1) * H * D)
    cache = 2 * L * KV * D * 2
    return LanguageModel(
        "m", batch, prompt, 1, architecture(base), prefill, decode, prefill, prompt * cache, cache, True
    )


def test_bounds_of_llama_on_an_h100():
    """8,192 tokens: published as 133.345 ms for the prefill and 4.80 ms for a decoding step, at 989.5 TFLOP/s."""
    model, device = served(8192), Device("H100", 989.5e12, 3.35e12, 80 * 10**9)
    assert model.cache_bytes == 2**30
    prefill, decode = prefill_bound(model, device), decode_bound(model, device)
    assert (prefill.limit, decode.limit) == ("compute", "memory")
    assert prefill.seconds * 1e3 == pytest.approx(133.345, abs=1e-3)
    # 15.0 GB of weights without the embedding, and 1.07 GB of cache.
    least = (2 * (PRODUCTS + (2 * L + 1) * HIDDEN) + 2**30) / 3.35e12
    assert decode.seconds == pytest.approx(least)
    assert decode.seconds * 1e3 == pytest.approx(4.801, abs=1e-3)


def test_tensor_parallelism():
    model = served(1000, batch=1)
    part = shard(model, Parallel(4))
    assert part.cache_bytes * 4 == model.cache_bytes
    assert (
        shard(model, Parallel(16)).cache_bytes * 8 == model.cache_bytes
    )  # 8 key heads on 16 devices: each is held twice.
    latent = model.replace(architecture=model.architecture.replace(latent=Latent(0, 512, 128, 64, 128)))
    assert shard(latent, Parallel(4)).cache_bytes == model.cache_bytes
    # Two all-reduces per layer of 4096 bfloat16 values; a ring sends 2 · 3/4 of them.
    assert part.decode_sent == 2 * L * 4096 * 2 * 2 * 3 // 4
    assert part.prefill_sent == 1000 * part.decode_sent
    assert shard(model, Parallel()).decode_sent == 0


def test_expert_parallelism():
    """Mixtral 8x7B on 4 groups of 2: 2 of 8 experts each, and a quarter of the sequences."""
    expert = 3 * HIDDEN * FEED
    model = served(1000, batch=8, base=MIXTRAL)
    part = shard(model, Parallel(2, 4))
    assert (part.devices, part.sequences, part.experts) == (8, 2, 2)
    dense = 46_702_792_704 - L * 8 * expert
    assert part.weight_bytes == 2 * (dense + L * 2 * expert) // 2
    assert part.cache_bytes == model.cache_bytes * 2 // 8 // 2
    # In each layer two copies of 4096 bfloat16 values go to the experts and come back, 3 of 4 to other devices.
    assert part.decode_exchanged == 2 * L * 2 * 2 * 4096 * 2 * 3 // 4
    assert part.prefill_exchanged == 1000 * part.decode_exchanged
    # A decoding step of 8 tokens chooses all 8 experts; each device reads its 2, half of them by --tp.
    read = (2 * (dense - 32000 * HIDDEN) / 2 + 2 * L * 2 * expert / 2 + part.cache_bytes) / 3.35e12
    assert decode_bound(model, Device("H100", 989.5e12, 3.35e12, 0), Parallel(2, 4)).memory_s == pytest.approx(read)
    each = part.cache_bytes / 2
    assert largest_batch(model, 80 * 10**9, Parallel(2, 4)) == 4 * int((80 * 10**9 - part.weight_bytes) // each)


def test_utilization_and_devices():
    device = Device("d", 1e15, 1e12, 0)
    assert utilization(10_000, 5e10, device, 2) == 0.25
    assert device_for(devices()["H100 SXM5 80GB"], "bfloat16").flops_per_s == 989e12
    assert find_device("H100")["name"] == "H100 SXM5 80GB"
    assert find_device("l40")["name"] == "L40 48GB"  # Not L40S.
    with pytest.raises(AnalyzerError, match="bfloat16"):
        device_for(devices()["Tesla T4"], "bfloat16")


def test_memory_and_the_largest_batch():
    model = served(8192)
    assert model.memory_bytes(2) == LLAMA_8B["parameter_bytes"] + 2 * 2**30
    assert largest_batch(model, 80 * 10**9) == (80 * 10**9 - LLAMA_8B["parameter_bytes"]) // 2**30
    assert largest_batch(model, 10**9) == 0
