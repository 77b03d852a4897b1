"""Bytes of one decode step of five language models, in bfloat16 at batch 1, against the arithmetic of their weights.

A decode step reads every weight that it uses once, its cache once, one row of the embedding, and small activations.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.dispatch.counter import count_operators
from analyzer.records.rows import Count
from tests.torch_releases import GROUPED_MM

BF16 = torch.bfloat16
CONTEXT = 4096  # Tokens in the cache.
META = torch.device("meta")


def empty(*shape: int, dtype: torch.dtype = BF16) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, device=META, dtype=dtype), requires_grad=False)


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False, device=META, dtype=BF16)


class Int4Linear(nn.Module):
    """Two weights per byte, and a scale and a zero point per group of 128 weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.packed = empty(outputs, inputs // 2, dtype=torch.uint8)
        self.scales = empty(inputs // 128, outputs, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x[0], self.packed, 128, self.scales)[None]


class Attention(nn.Module):
    """Grouped-query attention that appends a token to preallocated keys and values."""

    def __init__(self, width: int, heads: int, cached: int, size: int, layer=linear) -> None:
        super().__init__()
        self.heads, self.cached, self.size = heads, cached, size
        self.q, self.o = layer(width, heads * size), layer(heads * size, width)
        self.k, self.v = layer(width, cached * size), layer(width, cached * size)
        for name in ("keys", "values"):
            self.register_buffer(name, torch.empty(1, cached, CONTEXT, size, device=META, dtype=BF16))

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        q, k, v = (layer(x).view(1, 1, -1, self.size).transpose(1, 2) for layer in (self.q, self.k, self.v))
        self.keys.index_copy_(2, place, k)
        self.values.index_copy_(2, place, v)
        y = F.scaled_dot_product_attention(q, self.keys, self.values, enable_gqa=True)
        return self.o(y.transpose(1, 2).reshape(1, 1, -1))


class LatentAttention(nn.Module):
    """Multi-head latent attention with absorbed projections: the cache holds 512 latent and 64 rotary numbers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_down, self.q_up = linear(width, 1536), linear(1536, heads * 192)
        self.kv_down, self.o = linear(width, 512 + 64), linear(heads * 128, width)
        self.k_up, self.v_up = empty(heads, 128, 512), empty(heads, 512, 128)
        self.register_buffer("cache", torch.empty(CONTEXT, 576, device=META, dtype=BF16))

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        self.cache.index_copy_(0, place, self.kv_down(x)[0])
        q = self.q_up(self.q_down(x)).view(self.heads, 1, 192)
        q = torch.cat([torch.bmm(q[..., :128], self.k_up), q[..., 128:]], -1).view(self.heads, 576)
        scores = torch.softmax(q @ self.cache.t(), -1)
        latent = scores @ self.cache[:, :512]
        return self.o(torch.bmm(latent.view(self.heads, 1, 512), self.v_up).view(1, 1, -1))


class GatedLayer(nn.Module):
    def __init__(self, width: int, hidden: int, layer=linear) -> None:
        super().__init__()
        self.gate, self.up, self.down = layer(width, hidden), layer(width, hidden), layer(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """A router, grouped products of the chosen experts, and experts that every token uses."""

    def __init__(self, width: int, hidden: int, experts: int, chosen: int, shared: int = 0) -> None:
        super().__init__()
        self.chosen, self.router = chosen, linear(width, experts)
        self.up, self.down = empty(experts, width, 2 * hidden), empty(experts, hidden, width)
        self.shared = GatedLayer(width, shared * hidden) if shared else None

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.router(x[0]).topk(self.chosen)
        ends = torch.zeros(len(self.up), device=x.device, dtype=torch.int32).index_add_(
            0, chosen.view(-1), torch.ones_like(chosen.view(-1), dtype=torch.int32)
        )
        tokens = x[0].repeat_interleave(self.chosen, 0)
        gate, up = F.grouped_mm(tokens, self.up, offs=ends).chunk(2, -1)
        y = (F.grouped_mm(F.silu(gate) * up, self.down, offs=ends) * weights.view(-1, 1)).sum(0).view_as(x)
        return y if self.shared is None else y + self.shared(x)


class Decoder(nn.Module):
    def __init__(self, vocabulary: int, width: int, attentions: list[nn.Module], mlps: list[nn.Module]) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width, device=META, dtype=BF16)
        self.attentions, self.mlps = nn.ModuleList(attentions), nn.ModuleList(mlps)
        self.head = linear(width, vocabulary)

    def forward(self, token: Tensor, place: Tensor) -> Tensor:
        x = self.table(token)
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            x = x + attention(x, place)
            x = x + mlp(x)
        return self.head(x)


def decode(model: nn.Module) -> Count:
    token, place = (torch.zeros(shape, device=META, dtype=torch.int64) for shape in ((1, 1), (1,)))
    return count_operators(model, [token, place])


PRODUCTS = {"linear", "matmul", "bmm", "_grouped_mm", "_weight_int4pack_mm_for_cpu", "scaled_dot_product_attention"}


def check(count: Count, weights: int, cache: int) -> None:
    """Products read `weights` and `cache`, in bytes, besides their left side; everything else is below 1 %."""
    assert not count.unknown_ops
    products = [row for row in count.rows if row.op in PRODUCTS]
    right = sum(row.bytes_read - 2 * prod(row.inputs[0]) for row in products)
    ends = sum(4 * row.inputs[2][0] for row in products if row.op == "_grouped_mm")  # The rows of each expert.
    assert right - ends == weights + cache
    assert sum(row.bytes_read + row.bytes_written for row in count.rows) < 1.01 * (weights + cache)
    (row,) = [row for row in count.rows if row.op == "embedding"]
    width = row.outputs[0][-1]
    assert (row.bytes_read, row.bytes_written) == (8 + 2 * width, 2 * width)


def test_a_dense_model_of_8b():
    """Llama 3 8B: 32 layers, 32 heads of 128, 8 of keys and values."""
    attention = [Attention(4096, 32, 8, 128) for _ in range(32)]
    count = decode(Decoder(128_256, 4096, attention, [GatedLayer(4096, 14_336) for _ in range(32)]))
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14_336
    head = 128_256 * 4096
    assert sum(row.params for row in count.rows) == 32 * layer + 2 * head
    # 15.0 GB; the table of 1.05 GB is not read.
    check(count, 2 * (32 * layer + head), 2 * 32 * 2 * 8 * 128 * CONTEXT)


def test_a_model_of_70b_with_grouped_queries():
    """Llama 3 70B: 80 layers, 64 heads of 128, 8 of keys and values."""
    attention = [Attention(8192, 64, 8, 128) for _ in range(80)]
    count = decode(Decoder(128_256, 8192, attention, [GatedLayer(8192, 28_672) for _ in range(80)]))
    layer = 2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28_672
    check(count, 2 * (80 * layer + 128_256 * 8192), 2 * 80 * 2 * 8 * 128 * CONTEXT)


@GROUPED_MM
def test_a_mixture_reads_two_of_eight_experts():
    """Mixtral 8x7B: 25.5 GB of weights, not 93.1."""
    attention = [Attention(4096, 32, 8, 128) for _ in range(32)]
    count = decode(Decoder(32_000, 4096, attention, [Experts(4096, 14_336, 8, 2) for _ in range(32)]))
    outside = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 4096 * 8
    expert = 3 * 4096 * 14_336
    assert sum(row.params for row in count.rows) == 32 * (outside + 8 * expert) + 2 * 32_000 * 4096
    weights = 2 * (32 * (outside + 2 * expert) + 32_000 * 4096)
    assert round(weights / 1e9, 1) == 25.5
    check(count, weights, 2 * 32 * 2 * 8 * 128 * CONTEXT)


@GROUPED_MM
def test_latent_attention_with_experts():
    """DeepSeek-V3: 128 heads; 3 dense layers, then 58 with 8 of 256 experts and 1 shared."""
    attention = [LatentAttention(7168, 128) for _ in range(61)]
    mlps = [GatedLayer(7168, 18_432) for _ in range(3)] + [Experts(7168, 2048, 256, 8, shared=1) for _ in range(58)]
    count = decode(Decoder(129_280, 7168, attention, mlps))
    latent = 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 128 * 128 * 7168 + 2 * 128 * 128 * 512
    mixture = 7168 * 256 + (8 + 1) * 3 * 7168 * 2048
    weights = 61 * latent + 3 * 3 * 7168 * 18_432 + 58 * mixture + 129_280 * 7168
    # The scores read all 576 numbers of a token, the values its 512 latent ones.
    check(count, 2 * weights, 2 * 61 * CONTEXT * (576 + 512))


def test_weights_of_four_bits():
    """Llama 3 8B in int4: half a byte per weight, and 4 bytes per 128 weights for scale and zero point."""
    attention = [Attention(4096, 32, 8, 128, Int4Linear) for _ in range(32)]
    count = decode(Decoder(128_256, 4096, attention, [GatedLayer(4096, 14_336, Int4Linear) for _ in range(32)]))
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14_336
    packed = 32 * (layer // 2 + 4 * layer // 128)
    check(count, packed + 2 * 128_256 * 4096, 2 * 32 * 2 * 8 * 128 * CONTEXT)
