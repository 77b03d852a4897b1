"""Tensor shapes as tuples and text: (batch, channels, height, width) or (batch, features)."""

from __future__ import annotations

from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = tuple[Shape, ...]


def shape_text(shape: Shape) -> str:
    """`(1, 64, 112, 112)` → `1x64x112x112`."""
    return "x".join(map(str, shape))
