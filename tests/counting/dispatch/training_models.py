"""Small models of the kinds that people train, each with the inputs of one pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

Made = tuple[nn.Module, tuple[Any, ...]]
MODELS: dict[str, Callable[[], Made]] = {}


def model(make: Callable[[], Made]) -> Callable[[], Made]:
    MODELS[make.__name__] = make
    return make


class Forward(nn.Module):
    """A module with named parts, and a function of it and its inputs as its forward."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


def image(channels: int = 3, size: int = 12) -> tuple[Tensor]:
    return (torch.zeros(2, channels, size, size),)


def tokens(length: int = 24) -> tuple[Tensor]:
    return (torch.zeros(2, length, dtype=torch.int64),)


def sequence(length: int = 24, width: int = 32) -> tuple[Tensor]:
    return (torch.zeros(2, length, width),)


def head(channels: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5))


@model
def cnn() -> Made:
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), head(16)]
    return nn.Sequential(*layers), image()


@model
def in_place_relu() -> Made:
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3), nn.ReLU(inplace=True), head(16)]
    return nn.Sequential(*layers), image()


@model
def batch_norm() -> Made:
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), head(8)), image()


@model
def residual_block() -> Made:
    layers = [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(True), nn.Conv2d(8, 8, 3, padding=1)]
    branch = nn.Sequential(*layers)
    return Forward(lambda self, x: self.head(torch.relu(self.branch(x) + x)), branch=branch, head=head(8)), image(8)


@model
def depthwise_separable() -> Made:
    layers = [nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 16, 1), nn.ReLU6(), nn.Hardswish(), head(16)]
    return nn.Sequential(*layers), image(8)


@model
def unet_skip() -> Made:
    def forward(self: Any, x: Tensor) -> Any:
        skipped = torch.relu(self.down(x))
        inner = torch.relu(self.inner(nn.functional.max_pool2d(skipped, 2)))
        return self.up(torch.cat([skipped, nn.functional.interpolate(inner, scale_factor=2)], 1))

    parts = {"down": nn.Conv2d(3, 8, 3, padding=1), "inner": nn.Conv2d(8, 8, 3, padding=1), "up": nn.Conv2d(16, 3, 1)}
    return Forward(forward, **parts), image()


@model
def frozen_backbone() -> Made:
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()).requires_grad_(False)
    return nn.Sequential(backbone, head(8)), image()


@model
def dropout() -> Made:
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Dropout(0.2), nn.Linear(64, 8)), sequence()


@model
def encoder() -> Made:
    return nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True), sequence()


@model
def encoder_with_dropout() -> Made:
    """With dropout, attention is no fused kernel: all scores are saved."""
    return nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True), sequence()


def attention(self: Any, x: Tensor, **options: Any) -> Tensor:
    """Eight query heads of width 8, and as many heads of keys and values as their projections give."""
    query, key, value = (part(x).unflatten(-1, (-1, 8)).transpose(1, 2) for part in (self.query, self.key, self.value))
    mixed = scaled_dot_product_attention(query=query, key=key, value=value, **options)
    return self.out(mixed.transpose(1, 2).flatten(2))


def attention_parts(width: int = 64, groups: int = 8) -> dict[str, nn.Module]:
    widths = {"query": 64, "key": 8 * groups, "value": 8 * groups}
    projections = {name: nn.Linear(width, wide, bias=False) for name, wide in widths.items()}
    return {**projections, "out": nn.Linear(64, width)}


@model
def decoder_with_grouped_queries() -> Made:
    """Two key heads for eight query heads, RMS norms and a gated feed-forward, as in Llama 3."""

    def forward(self: Any, ids: Tensor) -> Any:
        x = self.embedding(ids)
        x = x + attention(self, self.norm1(x), is_causal=True, enable_gqa=True)
        hidden = self.norm2(x)
        return self.lm_head(x + self.down(nn.functional.silu(self.gate(hidden)) * self.up(hidden)))

    parts = {"embedding": nn.Embedding(50, 64), "norm1": nn.RMSNorm(64), "norm2": nn.RMSNorm(64)}
    parts |= {"gate": nn.Linear(64, 96), "up": nn.Linear(64, 96), "down": nn.Linear(96, 64)}
    parts |= {"lm_head": nn.Linear(64, 50)}
    return Forward(forward, **parts, **attention_parts(groups=2)), tokens(64)


@model
def attention_with_a_mask() -> Made:
    """A boolean mask becomes a tensor of numbers, which is saved."""

    def forward(self: Any, x: Tensor) -> Any:
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        return attention(self, x, attn_mask=mask)

    return Forward(forward, **attention_parts()), sequence(width=64)


@model
def mixture_of_experts() -> Made:
    """Every expert runs on all tokens, weighted by the router."""

    def forward(self: Any, x: Tensor) -> Any:
        weights = self.router(x).softmax(-1)
        return sum(expert(x) * weights[..., i : i + 1] for i, expert in enumerate(self.experts))

    experts = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 32)) for _ in range(4))
    return Forward(forward, router=nn.Linear(32, 4), experts=experts), sequence()


@model
def lora() -> Made:
    """The base is frozen; two thin matrices learn."""
    parts = {"base": nn.Linear(32, 32).requires_grad_(False), "a": nn.Linear(32, 4, bias=False)}
    parts |= {"b": nn.Linear(4, 32, bias=False)}
    return Forward(lambda self, x: self.base(x) + 2 * self.b(self.a(x)), **parts), sequence()


def checkpoints(run: Callable[[nn.Module, Tensor], Tensor]) -> Made:
    """Three blocks that `run` checkpoints, after a layer, so that their input learns."""
    blocks = nn.ModuleList(nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 32)) for _ in range(3))

    def forward(self: Any, x: Tensor) -> Any:
        x = self.first(x)
        for block in self.blocks:
            x = x + (run(block, x) if x.requires_grad else block(x))  # torch warns of reentry without gradients.
        return x

    return Forward(forward, first=nn.Linear(32, 32), blocks=blocks), sequence()


@model
def checkpointed_with_reentry() -> Made:
    return checkpoints(lambda block, x: checkpoint(block, x, use_reentrant=True))


@model
def checkpoints_within_checkpoints() -> Made:
    def run(block: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(lambda y: torch.relu(checkpoint(block, y, use_reentrant=False)), x, use_reentrant=False)

    return checkpoints(run)


@model
def checkpoints_within_checkpoints_with_reentry() -> Made:
    def run(block: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(lambda y: torch.relu(checkpoint(block, y, use_reentrant=True)), x, use_reentrant=True)

    return checkpoints(run)


@model
def selectively_checkpointed() -> Made:
    contexts = partial(create_selective_checkpoint_contexts, [torch.ops.aten.addmm.default])
    return checkpoints(lambda block, x: checkpoint(block, x, use_reentrant=False, context_fn=contexts))


@model
def checkpointed() -> Made:
    blocks = nn.ModuleList(nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 32)) for _ in range(3))

    def forward(self: Any, x: Tensor) -> Any:
        for block in self.blocks:
            x = x + checkpoint(block, x, use_reentrant=False)
        return x

    return Forward(forward, blocks=blocks), sequence()


@model
def embedding_bags() -> Made:
    options: list[dict[str, Any]] = [{"mode": mode} for mode in ("sum", "mean", "max")]
    options += [{"mode": "sum", "padding_idx": 0}, {"mode": "sum", "dtype": torch.float64}]
    bags = nn.ModuleList(nn.EmbeddingBag(50, 32, **chosen) for chosen in options)
    return Forward(lambda self, ids: [torch.tanh(bag(ids)) for bag in self.bags], bags=bags), tokens()


@model
def tied_embedding() -> Made:
    parts = {"embedding": nn.Embedding(50, 32), "hidden": nn.Linear(32, 32), "out": nn.Linear(32, 50, bias=False)}
    parts["out"].weight = parts["embedding"].weight
    return Forward(lambda self, ids: self.out(torch.tanh(self.hidden(self.embedding(ids)))), **parts), tokens()


@model
def complex_numbers() -> Made:
    def forward(self: Any, x: Tensor) -> Any:
        return (torch.fft.rfft(x, dim=1) * self.filter).abs() @ self.out

    parts = {"filter": torch.ones(13, 32, dtype=torch.complex64), "out": torch.ones(32, 4)}
    return Forward(forward, **{name: nn.Parameter(part) for name, part in parts.items()}), sequence()


@model
def layer_and_group_norm() -> Made:
    layers = [nn.Conv1d(24, 16, 3), nn.GroupNorm(4, 16), nn.LeakyReLU(), nn.LayerNorm(30), nn.Softmax(-1)]
    return nn.Sequential(*layers), sequence()


@model
def auxiliary_loss() -> Made:
    """Two outputs, one inside a dictionary; the target is a second input."""

    def forward(self: Any, x: Tensor, target: Tensor) -> Any:
        logits = self.out(torch.relu(self.hidden(x).mean(1)))
        return {"loss": nn.functional.cross_entropy(logits, target), "logits": logits}

    parts = {"hidden": nn.Linear(32, 64), "out": nn.Linear(64, 10)}
    return Forward(forward, **parts), (*sequence(), torch.zeros(2, dtype=torch.int64))


@model
def lstm() -> Made:
    parts = {"lstm": nn.LSTM(32, 16, batch_first=True), "out": nn.Linear(16, 4)}
    return Forward(lambda self, x: self.out(self.lstm(x)[0][:, -1]), **parts), sequence(6)


@model
def gru() -> Made:
    """Two layers in both directions, step by step."""
    parts = {"gru": nn.GRU(32, 16, num_layers=2, bidirectional=True), "out": nn.Linear(32, 4)}
    return Forward(lambda self, x: self.out(self.gru(x)[0]), **parts), (torch.zeros(6, 2, 32),)
