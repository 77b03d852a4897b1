"""Models of transformers against published figures, and counts against formulas of their configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.language_models.framework_formulas import FORMULAS, formulas
from analyzer.language_models.prefill_and_decode import count_language_model, count_lengths
from analyzer.records.training import TrainingSetup
from analyzer.scaling.api import scale
from analyzer.worker import client
from reports.language_models import Setting, dump, tables
from reports.page.sections.language_model import sections
from reports.table import Table

pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[zoo]'")
pytestmark = pytest.mark.slow
FLOPS = {formula.name: formula.flops for formula in FORMULAS}


def config(kind: str, hidden: int, layers: int, heads: int, kv: int, feed: int, vocabulary: int, **more: Any) -> dict:
    return {
        "model_type": kind, "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv, "intermediate_size": feed, "vocab_size": vocabulary, "dtype": "bfloat16", **more,
    }  # fmt: skip


# Name → configuration, published parameters, bytes of KV cache per token: 2 · layers · key heads · head size · 2.
PUBLISHED = {
    "llama-2-7b": (config("llama", 4096, 32, 32, 32, 11008, 32000), 6_738_415_616, 2 * 32 * 32 * 128 * 2),
    "llama-2-13b": (config("llama", 5120, 40, 40, 40, 13824, 32000), 13_015_864_320, 2 * 40 * 40 * 128 * 2),
    "llama-2-70b": (config("llama", 8192, 80, 64, 8, 28672, 32000), 68_976_648_192, 2 * 80 * 8 * 128 * 2),
    "llama-3-8b": (config("llama", 4096, 32, 32, 8, 14336, 128256), 8_030_261_248, 2 * 32 * 8 * 128 * 2),
    "llama-3-70b": (config("llama", 8192, 80, 64, 8, 28672, 128256), 70_553_706_496, 2 * 80 * 8 * 128 * 2),
    "llama-3.2-1b": (
        config("llama", 2048, 16, 32, 8, 8192, 128256, head_dim=64, tie_word_embeddings=True),
        1_235_814_400, 2 * 16 * 8 * 64 * 2,
    ),
    "llama-3.2-3b": (
        config("llama", 3072, 28, 24, 8, 8192, 128256, head_dim=128, tie_word_embeddings=True),
        3_212_749_824, 2 * 28 * 8 * 128 * 2,
    ),
    "mistral-7b": (config("mistral", 4096, 32, 32, 8, 14336, 32000), 7_241_732_096, 2 * 32 * 8 * 128 * 2),
    "mixtral-8x7b": (
        config("mixtral", 4096, 32, 32, 8, 14336, 32000, num_local_experts=8, num_experts_per_tok=2),
        46_702_792_704, 2 * 32 * 8 * 128 * 2,
    ),
    "qwen2.5-0.5b": (
        config("qwen2", 896, 24, 14, 2, 4864, 151936, tie_word_embeddings=True), 494_032_768, 2 * 24 * 2 * 64 * 2,
    ),
    "qwen2.5-7b": (config("qwen2", 3584, 28, 28, 4, 18944, 152064), 7_615_616_512, 2 * 28 * 4 * 128 * 2),
    "qwen3-8b": (config("qwen3", 4096, 36, 32, 8, 12288, 151936, head_dim=128), 8_190_735_360, 2 * 36 * 8 * 128 * 2),
    "qwen3-30b-a3b": (
        config("qwen3_moe", 2048, 48, 32, 4, 6144, 151936, head_dim=128, num_experts=128, num_experts_per_tok=8,
               moe_intermediate_size=768, norm_topk_prob=True),
        30_532_122_624, 2 * 48 * 4 * 128 * 2,
    ),
    "phi-3-mini": (config("phi3", 3072, 32, 32, 32, 8192, 32064, pad_token_id=0), 3_821_079_552, 2 * 32 * 32 * 96 * 2),
    "gemma-2b": (config("gemma", 2048, 18, 8, 1, 16384, 256000, head_dim=256), 2_506_172_416, 2 * 18 * 1 * 256 * 2),
    "gemma-7b": (config("gemma", 3072, 28, 16, 16, 24576, 256000, head_dim=256), 8_537_680_896, 2 * 28 * 16 * 256 * 2),
    "gemma-2-9b": (
        config("gemma2", 3584, 42, 16, 8, 14336, 256000, head_dim=256), 9_241_705_984, 2 * 42 * 8 * 256 * 2,
    ),
    "pythia-6.9b": (
        config("gpt_neox", 4096, 32, 32, 32, 16384, 50432, tie_word_embeddings=False), 6_857_302_016, 2 * 32 * 4096 * 2,
    ),
    "gpt2": ({"model_type": "gpt2"}, 124_439_808, 2 * 12 * 768 * 4),
    "gpt2-xl": ({"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25}, 1_557_611_200, 2 * 48 * 1600 * 4),
}  # fmt: skip


def folder(where: Path, settings: dict[str, Any]) -> str:
    (where / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return f"hf:{where}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_cache_are_the_published_ones(name, tmp_path):
    from analyzer.language_models.kv_cache import cache_after, stored_bytes
    from analyzer.language_models.language_model_task import _architecture, _causal_model

    settings, parameters, per_token = PUBLISHED[name]
    model = _causal_model(folder(tmp_path, settings))
    assert _architecture(model)["parameters"] == parameters
    assert stored_bytes(cache_after(model, 1, 2)) - stored_bytes(cache_after(model, 1, 1)) == per_token


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "gemma", "gpt2", "gpt_neox"])
def test_a_training_token_is_what_megatron_counts(kind, tmp_path):
    """Dense models: every product that runs, forward and twice backward; the first layer's input needs a gradient."""
    settings = config(kind, 64, 2, 4, 4 if kind in ("gpt2", "gpt_neox") else 2, 256, 1000, head_dim=16)
    if kind == "gpt2":
        settings = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 1000}
    try:
        model = count_language_model(folder(tmp_path, settings), batch=1, prompt=32, decode=8)
    finally:
        client.close()
    assert 2 * model.training_macs("full") == 32 * FLOPS["Megatron-LM"](model.architecture, 32)
    # MaxText counts half of the pairs; a causal mask keeps the diagonal, too: 2 layers · 4 heads · 16 · 6 per token.
    exact = 2 * model.training_macs("causal") - 32 * FLOPS["MaxText"](model.architecture, 32)
    assert exact == 32 * 2 * 4 * 16 * 6


def test_latent_attention_with_experts_is_what_maxtext_counts(tmp_path):
    """DeepSeek-V3 in small: one dense layer, two with 2 of 8 experts and a shared one."""
    latent = {"q_lora_rank": 32, "kv_lora_rank": 24, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 16}
    experts = {"n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}
    settings = config("deepseek_v3", 64, 3, 4, 4, 256, 1000, moe_intermediate_size=32, first_k_dense_replace=1,
                      **latent, **experts)  # fmt: skip
    try:
        model = count_language_model(folder(tmp_path, settings), batch=3, prompt=32, decode=8)
    finally:
        client.close()
    flops = {formula.name: formula.flops(model.architecture, 32) for formula in formulas(model.architecture)}
    # MaxText counts half of the pairs; a causal mask keeps the diagonal, too: 3 layers · 4 heads · (8 + 4 + 16).
    assert 2 * model.training_macs("causal") - 32 * flops["MaxText"] == 32 * 3 * 3 * 4 * 28
    # Megatron-LM adds the norms of the latents, and leaves out the router.
    router, norms = 2 * 2 * 64 * 8, 2 * 3 * (32 + 24)
    assert flops["MaxText"] - flops["Megatron-LM"] == 3 * (router - norms)
    # torchtitan: active parameters without the embedding, and two products of 12 and 16 numbers per pair.
    active = model.architecture.active_parameters - 1000 * 64
    assert flops["torchtitan"] == 6 * active + 6 * 3 * 4 * (12 + 16) * 32
    # A step of transformers expands all 40 latents; absorbed, the weights meet the new token alone.
    expanded = 40 * (24 * 4 * (8 + 16) + 4 * 28)
    absorbed = 24 * 4 * (8 + 16) + 40 * 4 * (24 + 4 + 24)
    assert model.decode_macs() - model.decode_macs("needed") == 3 * 3 * (expanded - absorbed)


@pytest.mark.parametrize(("kind", "more"), [("gemma2", {}), ("gpt_oss", {"num_local_experts": 4})])
def test_masks_of_attention_that_is_written_out(kind, more, tmp_path):
    """Gemma 2 caps its scores, gpt-oss adds a sink to them: a softmax between two products, every second layer with
    a window."""
    settings = config(kind, 64, 4, 4, 2, 128, 1000, head_dim=16, sliding_window=8, **more)
    try:
        model = count_language_model(folder(tmp_path, settings), batch=1, prompt=32, decode=1)
    finally:
        client.close()
    per_pair, causal = 4 * 16 * 2, 32 * 33 // 2
    assert model.prefill_macs("full") - model.prefill_macs("causal") == 4 * (32 * 32 - causal) * per_pair
    saved = 2 * (causal - (8 * 9 // 2 + 24 * 8)) * per_pair
    assert model.prefill_macs("causal") - model.prefill_macs("needed") == saved
    assert model.training_macs("causal") - model.training_macs("needed") == 3 * saved


def test_experts_that_no_token_chose(tmp_path):
    """Llama 4 multiplies every token with all 4 experts; it chooses one, beside a shared one of the same width."""
    settings = config("llama4_text", 64, 2, 4, 2, 32, 1000, head_dim=16, intermediate_size_mlp=128,
                      num_local_experts=4, num_experts_per_tok=1)  # fmt: skip
    try:
        model = count_language_model(folder(tmp_path, settings), batch=2, prompt=16, decode=1)
    finally:
        client.close()
    idle = 2 * 3 * (3 * 64 * 32)  # Of a token, in 2 layers.
    assert model.computes_all_experts
    assert model.decode_macs() - model.decode_macs("needed") == 2 * idle
    assert model.prefill_macs("causal") - model.prefill_macs("needed") == 32 * idle
    assert model.training_macs("causal") - model.training_macs("needed") == 16 * 3 * idle
    maxtext = next(formula for formula in formulas(model.architecture) if formula.name == "MaxText")
    pairs = 16 * 3 * 2 * 4 * 32  # MaxText counts half of them, without the diagonal.
    assert 2 * model.training_macs("needed") - 16 * maxtext.flops(model.architecture, 16) == pairs
    assert "all experts" in dump_text(tables(model, Setting()))


def dump_text(shown: list[Table]) -> str:
    return " ".join(note for table in shown for note in table.notes)


def test_an_encoder_is_refused(tmp_path):
    settings = {"model_type": "t5", "d_model": 64, "num_layers": 1, "architectures": ["T5ForConditionalGeneration"]}
    try:
        with pytest.raises(AnalyzerError, match="encoder"):
            count_language_model(folder(tmp_path, settings), batch=1, prompt=4, decode=1)
    finally:
        client.close()


def test_decoding_reads_the_whole_cache(tmp_path):
    settings = config("llama", 64, 2, 4, 2, 256, 1000)
    try:
        model = count_language_model(folder(tmp_path, settings), batch=3, prompt=10, decode=6)
    finally:
        client.close()
    products = 2 * (64 * (4 + 2 * 2) * 16 + 64 * 64 + 3 * 64 * 256) + 64 * 1000
    # 15 tokens in the cache and the new one: 2 layers · 16 keys · 4 heads · 16, for scores and for values.
    assert model.decode_macs() == 3 * (products + 2 * 16 * 4 * 16 * 2)
    assert model.cache_bytes == 3 * 15 * 2 * 2 * 2 * 16 * 2
    blocks = products - 64 * 1000
    assert model.prefill_macs("causal") == 3 * (10 * blocks + 64 * 1000 + 2 * (10 * 11 // 2) * 4 * 16 * 2)


def test_windows_and_latent_caches(tmp_path):
    settings = config("gemma3_text", 64, 6, 4, 2, 128, 1000, head_dim=16, sliding_window=8)
    try:
        model = count_language_model(folder(tmp_path, settings), batch=1, prompt=32, decode=1)
    finally:
        client.close()
    assert len(model.architecture.windowed_layers) == 5
    # A layer with a window keeps 7 tokens beside the new one, the sixth layer all 32.
    assert model.cache_bytes == (5 * 7 + 32) * 2 * 2 * 16 * 2
    saved = model.prefill_macs("causal") - model.prefill_macs("needed")
    assert saved == 5 * (32 * 33 // 2 - (8 * 9 // 2 + 24 * 8)) * 4 * 16 * 2


def test_quantized_caches_and_other_lengths(tmp_path):
    settings = config("llama", 64, 2, 4, 2, 256, 1000)
    try:
        model = count_language_model(
            folder(tmp_path, settings), batch=3, prompt=10, decode=6, cache_dtype="int4", cache_group=8, curve=(4, 8),
            setup=TrainingSetup("adamw", "bf16-mixed", 4),
        )  # fmt: skip
    finally:
        client.close()
    # Master weights and two moments of Adam in float32, a quarter on each device.
    memory = model.training.memory.terms("adamw")
    parameters = model.architecture.parameters
    assert memory["master weights"] == pytest.approx(parameters * 4 / 4, rel=0.01)
    assert memory["optimizer state"] == pytest.approx(parameters * 8 / 4, rel=0.01)
    # Keys and values of 2 heads of 16 in 2 layers, half a byte each; 8 share a scale and a zero point of 2 bytes.
    assert model.bytes_per_token == 2 * 2 * 2 * (16 // 2 + 2 * 4)
    assert model.cache_bytes == 3 * 15 * model.bytes_per_token
    blocks = 2 * (64 * (4 + 2 * 2) * 16 + 64 * 64 + 3 * 64 * 256)
    for length, at in zip((4, 8), model.curve, strict=True):
        assert at.cache_bytes == 3 * length * model.bytes_per_token
        assert at.prefill_macs("full") == 3 * (length * blocks + 64 * 1000 + 2 * length * length * 4 * 16 * 2)
        assert at.decode_macs() == 3 * (blocks + 64 * 1000 + 2 * (length + 1) * 4 * 16 * 2)


def test_lengths_of_a_report_end_at_the_positions(tmp_path):
    settings = config("llama", 64, 2, 4, 2, 256, 1000, max_position_embeddings=600)
    try:
        model = count_lengths(folder(tmp_path, settings))
        with pytest.raises(AnalyzerError, match="no cache"):
            count_lengths("hf:bert")
    finally:
        client.close()
    assert [at.prompt for at in model.curve] == [128, 256, 512]
    (section,) = sections([model])
    assert len(section.blocks) == 2


def test_a_state_space_model_has_no_cache_to_quantize(tmp_path):
    settings = {"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 100}
    try:
        with pytest.raises(AnalyzerError, match="does not grow"):
            count_language_model(folder(tmp_path, settings), batch=1, prompt=4, decode=2, cache_dtype="int8")
        model = count_language_model(folder(tmp_path, settings), batch=1, prompt=4, decode=2)
    finally:
        client.close()
    assert model.architecture.scan
    assert model.bytes_per_token == 0
    assert [formula.name for formula in formulas(model.architecture)] == ["6N"]
    tables(model, Setting())
    assert "scan" in dump(model, Setting())


def test_the_formula_of_a_cache(tmp_path):
    """Keys and values of 2 heads of 16 in 2 layers at 4 bytes, as far as the text goes."""
    model = folder(tmp_path, config("llama", 64, 2, 4, 2, 256, 1000) | {"dtype": "float32"})
    try:
        costs = scale(model, cache=True)
        of_batch = scale(model, "batch", cache=True)
    finally:
        client.close()
    assert of_batch.at(metric="cache_bytes", batch=3) == costs.at(metric="cache_bytes", batch=3)
    assert costs.polynomial("cache_bytes").text() == f"{2 * 2 * 2 * 16 * 4}·batch·sequence"
