"""Modules of torch.nn that run as one fused operator at inference, such as `nn.TransformerEncoderLayer`.

torch takes the fused operator only where no function mode is active, so instruments inside the module would replace it
by slower ones. Such a module is one operator of a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

CANDIDATES = (nn.TransformerEncoderLayer, nn.MultiheadAttention)
FUSED = {"_transformer_encoder_layer_fwd", "_native_multi_head_attention"}


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The ids of the innermost open candidates that call a fused operator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.opened: list[int] = []
        self.fused: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.opened and func.overloadpacket.__name__ in FUSED:
            self.fused.add(self.opened[-1])
        return func(*args, **(kwargs or {}))


def fused_modules(model: nn.Module, run: Callable[[], Any]) -> frozenset[int]:
    """The ids of the modules that run as one fused operator in the pass that `run` makes; no pass without candidates.

    `forward` is wrapped and not hooked: torch takes no fused operator in a module with hooks.
    """
    candidates = [module for module in model.modules() if isinstance(module, CANDIDATES)]
    if not candidates or model.training:
        return frozenset()
    recorder = _Recorder()
    originals = [vars(module).get("forward") for module in candidates]
    for module in candidates:
        vars(module)["forward"] = _opening(module, recorder)
    try:
        with torch.inference_mode(), recorder:
            run()
    except RuntimeError:  # A pass that computes gradients; such passes have no fused operators.
        return frozenset()
    finally:
        for module, forward in zip(candidates, originals, strict=True):
            if forward is None:
                del vars(module)["forward"]
            else:
                vars(module)["forward"] = forward
    return frozenset(recorder.fused)


def _opening(module: nn.Module, recorder: _Recorder) -> Callable[..., Any]:
    forward = module.forward

    def opening(*args: Any, **kwargs: Any) -> Any:
        recorder.opened.append(id(module))
        try:
            return forward(*args, **kwargs)
        finally:
            recorder.opened.pop()

    return opening
