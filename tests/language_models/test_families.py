"""Multiply-adds of ten families of networks: counts against formulas written by hand, to the last unit.

Each formula reads only the numbers of its configuration and the sizes of the input: B sequences or images, S tokens.
"""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.counting.api import count_module

SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 1000}
H, D, L, V = 64, 16, 3, 1000  # Hidden width, width of each of 4 heads, layers, vocabulary.


def projections(key_heads: int) -> int:
    """Queries and output of 4 heads, keys and values of fewer."""
    return H * 4 * D + 2 * H * key_heads * D + 4 * D * H


def pairs(queries: int, keys: int) -> int:
    """Scores and weighted values of every head."""
    return queries * keys * 4 * D * 2


def llama(batch: int, tokens: int) -> int:
    """Every head has its own keys; the feed-forward layer is gated: three matrices."""
    return batch * (L * (tokens * (projections(4) + 3 * H * 256) + pairs(tokens, tokens)) + tokens * H * V)


def grouped_queries(batch: int, tokens: int) -> int:
    """Two heads share keys and values: fewer products in projections, as many in attention."""
    return batch * (L * (tokens * (projections(2) + 3 * H * 256) + pairs(tokens, tokens)) + tokens * H * V)


def experts(batch: int, tokens: int) -> int:
    """A router with a score per expert, and 2 of 8 experts for each token."""
    return batch * (L * (tokens * (projections(2) + H * 8 + 2 * 3 * H * 128) + pairs(tokens, tokens)) + tokens * H * V)


def latent_attention(batch: int, tokens: int) -> int:
    """Queries through 32, keys and values through 24 numbers per token; 8 + 4 numbers of a key turn with position."""
    query = H * 32 + 32 * 4 * (8 + 4)
    key_value = H * (24 + 4) + 24 * 4 * (8 + 16)
    attention = tokens * tokens * 4 * (8 + 4) + tokens * tokens * 4 * 16
    per_token = query + key_value + 4 * 16 * H
    dense = 3 * H * 256
    sparse = H * 8 + (2 + 1) * 3 * H * 32  # Two chosen experts and a shared one.
    return batch * (L * (tokens * per_token + attention) + tokens * (dense + 2 * sparse) + tokens * H * V)


def state_space(batch: int, tokens: int) -> int:
    """Mamba: inner width 128, 16 states, step sizes from 4 numbers. The scan is elementwise but for its output."""
    inner, states, rank, kernel = 128, 16, 4, 4
    per_token = H * 2 * inner + inner * (rank + 2 * states) + rank * inner + inner * states + inner * H
    convolution = (tokens + kernel - 1) * inner * kernel  # Padded on both sides; the end is cut off afterwards.
    return batch * (L * (tokens * per_token + convolution) + tokens * H * V)


def linear_attention(batch: int, tokens: int) -> int:
    """RWKV: receptance, key, value and output in the time mix; key, receptance and value in the channel mix."""
    return batch * tokens * (L * (4 * H * H + 2 * H * 4 * H + H * H) + H * V)


FAMILIES: dict[str, tuple[dict[str, Any], Any]] = {
    "llama": ({"model_type": "llama", "intermediate_size": 256, "num_key_value_heads": 4}, llama),
    "grouped queries": ({"model_type": "llama", "intermediate_size": 256, "num_key_value_heads": 2}, grouped_queries),
    "experts": (
        {"model_type": "mixtral", "intermediate_size": 128, "num_key_value_heads": 2, "num_local_experts": 8,
         "num_experts_per_tok": 2},
        experts,
    ),
    "latent attention": (
        {"model_type": "deepseek_v3", "intermediate_size": 256, "moe_intermediate_size": 32, "n_routed_experts": 8,
         "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
         "q_lora_rank": 32, "kv_lora_rank": 24, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 16,
         "num_key_value_heads": 4},
        latent_attention,
    ),
    "linear attention": ({"model_type": "rwkv", "context_length": 64}, linear_attention),
    "state space": ({"model_type": "mamba", "state_size": 16, "expand": 2, "conv_kernel": 4}, state_space),
}  # fmt: skip


def transformers_model(settings: dict[str, Any], kind: str = "AutoModelForCausalLM") -> Any:
    import torch

    transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[zoo]'")
    settings = dict(settings)
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        return getattr(transformers, kind).from_config(config).eval()


def macs(model: Any, **inputs: Any) -> int:
    return count_module(model, (), inputs, train=False).totals.macs


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_decoders(name):
    import torch

    settings, formula = FAMILIES[name]
    model = transformers_model({**SMALL, **settings})
    for batch, tokens in ((1, 1), (1, 7), (3, 12)):
        ids = torch.zeros(batch, tokens, dtype=torch.int64)
        assert macs(model, input_ids=ids, use_cache=False) == formula(batch, tokens), (batch, tokens)


@pytest.mark.slow
def test_the_cache_of_latent_attention():
    """24 numbers and a turning key of 4 per token and layer, whatever the number of heads."""
    from analyzer.language_models.kv_cache import cache_after, stored_bytes
    from analyzer.language_models.language_model_task import _architecture

    model = transformers_model({**SMALL, **FAMILIES["latent attention"][0]})
    assert stored_bytes(cache_after(model, 2, 5)) - stored_bytes(cache_after(model, 2, 4)) == 2 * L * (24 + 4) * 4
    architecture = _architecture(model)
    assert architecture["latent"]
    assert architecture["expert_layers"] == 2


@pytest.mark.slow
def test_windows():
    """Mistral with a window of 4 tokens: dense kernels multiply all pairs; a query needs its last 4 keys alone."""
    import torch

    from analyzer.language_models.architecture import Architecture
    from analyzer.language_models.attention_conventions import forward_macs
    from analyzer.language_models.language_model_task import _architecture

    model = transformers_model(
        {**SMALL, "model_type": "mistral", "intermediate_size": 256, "num_key_value_heads": 2, "sliding_window": 4}
    )
    record = count_module(model, (), {"input_ids": torch.zeros(2, 9, dtype=torch.int64), "use_cache": False})
    architecture = Architecture(**_architecture(model))
    assert record.totals.macs == grouped_queries(2, 9)
    saved = 9 * 9 - sum(min(position, 4) for position in range(1, 10))
    assert forward_macs(record, architecture, "needed") == grouped_queries(2, 9) - 2 * L * saved * 4 * D * 2


@pytest.mark.slow
def test_encoder_and_decoder():
    """T5: attention of S tokens to each other, of T to each other and to S; a feed-forward layer has two matrices."""
    import torch

    model = transformers_model(
        {"model_type": "t5", "d_model": H, "d_kv": D, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 3,
         "d_ff": 256, "vocab_size": V},
        "AutoModelForSeq2SeqLM",
    )  # fmt: skip
    for batch, source, target in ((1, 5, 3), (2, 8, 11)):
        encoder = source * (4 * H * H + 2 * H * 256) + pairs(source, source)
        own = target * 4 * H * H + pairs(target, target)
        across = target * 2 * H * H + source * 2 * H * H + pairs(target, source)
        decoder = own + across + target * 2 * H * 256
        expected = batch * (2 * encoder + 3 * decoder + target * H * V)
        inputs = torch.zeros(batch, source, dtype=torch.int64)
        outputs = torch.zeros(batch, target, dtype=torch.int64)
        assert macs(model, input_ids=inputs, decoder_input_ids=outputs, use_cache=False) == expected


@pytest.mark.slow
def test_vision_transformer():
    """Patches of 8x8 pixels through one convolution, a class token in front, and a classifier of 10 on it."""
    import torch

    model = transformers_model(
        {"model_type": "vit", "hidden_size": H, "num_hidden_layers": L, "num_attention_heads": 4,
         "intermediate_size": 256, "image_size": 48, "patch_size": 8, "num_labels": 10},
        "AutoModelForImageClassification",
    )  # fmt: skip
    patches = 6 * 6
    tokens = patches + 1
    layer = tokens * (4 * H * H + 2 * H * 256) + pairs(tokens, tokens)
    expected = patches * H * 3 * 8 * 8 + L * layer + H * 10
    assert macs(model, pixel_values=torch.zeros(2, 3, 48, 48)) == 2 * expected


def diffusion_transformer() -> Any:
    """DiT (Peebles and Xie 2023): blocks whose scales and shifts come from the time step (adaLN)."""
    from torch import nn
    from torch.nn.functional import scaled_dot_product_attention, silu

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.modulation = nn.LayerNorm(H, elementwise_affine=False), nn.Linear(H, 6 * H)
            self.qkv, self.out = nn.Linear(H, 3 * H), nn.Linear(H, H)
            self.mlp = nn.Sequential(nn.Linear(H, 4 * H), nn.GELU(), nn.Linear(4 * H, H))

        def forward(self, x, condition):
            shift, scale, gate, shift_2, scale_2, gate_2 = self.modulation(silu(condition))[:, None].chunk(6, -1)
            heads = self.qkv(self.norm(x) * (1 + scale) + shift).unflatten(-1, (3, 4, D)).permute(2, 0, 3, 1, 4)
            x = x + gate * self.out(scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
            return x + gate_2 * self.mlp(self.norm(x) * (1 + scale_2) + shift_2)

    class DiT(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(4, H, 2, stride=2)
            self.time = nn.Sequential(nn.Linear(32, H), nn.SiLU(), nn.Linear(H, H))
            self.blocks = nn.ModuleList([Block() for _ in range(L)])
            self.last, self.out = nn.Linear(H, 2 * H), nn.Linear(H, 2 * 2 * 8)
            self.norm = nn.LayerNorm(H, elementwise_affine=False)

        def forward(self, image, time):
            x, condition = self.patches(image).flatten(2).transpose(1, 2), self.time(time)
            for block in self.blocks:
                x = block(x, condition)
            shift, scale = self.last(silu(condition))[:, None].chunk(2, -1)
            return self.out(self.norm(x) * (1 + scale) + shift)

    return DiT()


@pytest.mark.parametrize(("batch", "size"), [(1, 8), (3, 12)])
def test_diffusion_transformer(batch, size):
    import torch

    tokens = (size // 2) ** 2
    once = 32 * H + H * H + L * H * 6 * H + H * 2 * H  # Per image: the time step, and scales and shifts from it.
    block = tokens * (4 * H * H + 2 * H * 4 * H) + pairs(tokens, tokens)
    expected = tokens * H * 4 * 2 * 2 + once + L * block + tokens * H * 2 * 2 * 8
    inputs = {"image": torch.zeros(batch, 4, size, size), "time": torch.zeros(batch, 32)}
    assert macs(diffusion_transformer(), **inputs) == batch * expected


def u_net() -> Any:
    """U-Net (Ronneberger et al. 2015) with padding: two levels down, two up by transposed convolutions."""
    import torch
    from torch import nn

    def double(inputs: int, outputs: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
        )

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList([double(3, 8), double(8, 16)])
            self.bottom, self.pool = double(16, 32), nn.MaxPool2d(2)
            self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ConvTranspose2d(16, 8, 2, stride=2)])
            self.join = nn.ModuleList([double(32, 16), double(16, 8)])
            self.out = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            kept = []
            for level in self.down:
                kept.append(level(x))
                x = self.pool(kept[-1])
            x = self.bottom(x)
            for up, join in zip(self.up, self.join, strict=True):
                x = join(torch.cat([kept.pop(), up(x)], 1))
            return self.out(x)

    return UNet()


@pytest.mark.parametrize(("batch", "size"), [(1, 16), (2, 40)])
def test_u_net(batch, size):
    import torch

    def double(inputs, outputs, pixels):
        return 9 * pixels * (inputs * outputs + outputs * outputs)

    full, half, quarter = size**2, (size // 2) ** 2, (size // 4) ** 2
    down = double(3, 8, full) + double(8, 16, half) + double(16, 32, quarter)
    # A transposed convolution of 2x2 multiplies each input pixel with 2 · 2 weights per channel in and out.
    up = 4 * (quarter * 32 * 16 + half * 16 * 8) + double(32, 16, half) + double(16, 8, full)
    assert macs(u_net(), x=torch.zeros(batch, 3, size, size)) == batch * (down + up + full * 8 * 2)
