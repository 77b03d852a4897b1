"""Settings of torch that a model may change, which are restored after a count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch.nn.modules import module as torch_module
from torch.utils import _device, _python_dispatch

Setting: TypeAlias = tuple[Callable[[], Any], Callable[[Any], Any]]  # What reads it, and what sets it.


def _set_default_device(device: torch.device | None) -> None:
    torch.set_default_device(device)
    if device is None:  # Up to torch 2.9, torch.get_default_device raises unless the attribute is missing.
        vars(torch._GLOBAL_DEVICE_CONTEXT).pop("device_context", None)


AUTOCAST: tuple[Setting, ...] = (
    *(
        (partial(read, device), partial(write, device))
        for device in ("cpu", "cuda")
        for read, write in (
            (torch.is_autocast_enabled, torch.set_autocast_enabled),
            (torch.get_autocast_dtype, torch.set_autocast_dtype),
        )
    ),
    (torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
)
KERNELS: tuple[Setting, ...] = (
    (torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),
    (torch._C._get_nnpack_enabled, torch._C._set_nnpack_enabled),
    (torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled),
    (torch._C._get_cudnn_benchmark, torch._C._set_cudnn_benchmark),
    (torch._C._get_cudnn_deterministic, torch._C._set_cudnn_deterministic),
    (torch._C._get_flash_sdp_enabled, torch._C._set_sdp_use_flash),
    (torch._C._get_mem_efficient_sdp_enabled, torch._C._set_sdp_use_mem_efficient),
    (torch._C._get_math_sdp_enabled, torch._C._set_sdp_use_math),
    (torch._C._get_cudnn_sdp_enabled, torch._C._set_sdp_use_cudnn),
)
SETTINGS: tuple[Setting, ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (lambda: _device.CURRENT_DEVICE, _set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.is_warn_always_enabled, torch.set_warn_always),
    *AUTOCAST,
    *KERNELS,
)

HOOKS = [store for name, store in vars(torch_module).items() if name.startswith("_global_") and "_hooks" in name]


@contextmanager
def restore_settings() -> Iterator[None]:
    """Restores SETTINGS, the hooks of all modules, and the number of modes: a model may enter one and not leave it."""
    values = [read() for read, _ in SETTINGS]
    hooks = [(store, dict(store)) for store in HOOKS]
    functions, dispatches = torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()
    try:
        yield
    finally:
        for (read, write), value in zip(SETTINGS, values, strict=True):
            if read() != value:
                write(value)
        for store, before in hooks:
            if store != before:
                store.clear()
                store.update(before)
        for _ in range(torch._C._len_torch_function_stack() - functions):
            torch.overrides._pop_mode()  # type: ignore[no-untyped-call]
        for _ in range(torch._C._len_torch_dispatch_stack() - dispatches):
            _python_dispatch._pop_mode()
