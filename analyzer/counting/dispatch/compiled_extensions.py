"""Finds compiled extensions of torch in this process, which can write to tensors without the dispatcher."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

# These register their kernels with torch's dispatcher.
DISPATCHED = {"torch", "torchvision", "torchaudio", "torchao", "torchgen", "functorch"}
MAPS = Path("/proc/self/maps")


def any_extension() -> bool:
    """Whether a library that uses torch's is loaded; true where a system does not list the loaded libraries."""
    try:
        lines = MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    paths = {line.split(maxsplit=5)[-1] for line in lines if ".so" in line}
    return any(map(_uses_torch, paths))


@lru_cache(maxsize=4096)
def _uses_torch(path: str) -> bool:
    packages = Path(torch.__file__).parents[1]
    file = Path(path)
    if file.is_relative_to(packages) and file.relative_to(packages).parts[0] in DISPATCHED:
        return False
    try:
        return b"libc10.so" in file.read_bytes() or b"libtorch" in file.read_bytes()
    except OSError:
        return False
