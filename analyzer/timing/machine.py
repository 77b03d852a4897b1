"""The machine's fingerprint: what a time depends on and a reader cannot see. No name of a host or a person is in it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer.comparable import stable_key

__all__ = ["fingerprint", "stable_key"]

FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile "
    "amx_bf16 amx_int8 asimd asimdhp bf16 sve sve2 i8mm"
).split()
VARIABLES = (
    "OMP_NUM_THREADS OMP_PROC_BIND OMP_PLACES OMP_WAIT_POLICY GOMP_CPU_AFFINITY GOMP_SPINCOUNT KMP_AFFINITY "
    "KMP_BLOCKTIME MKL_NUM_THREADS MKL_ENABLE_INSTRUCTIONS MKL_DYNAMIC ONEDNN_MAX_CPU_ISA ONEDNN_DEFAULT_FPMATH_MODE "
    "DNNL_MAX_CPU_ISA ATEN_CPU_CAPABILITY LD_PRELOAD MALLOC_CONF MALLOC_ARENA_MAX MALLOC_MMAP_THRESHOLD_ "
    "MALLOC_TRIM_THRESHOLD_ MALLOC_TOP_PAD_ PYTORCH_CUDA_ALLOC_CONF CUDA_LAUNCH_BLOCKING NVIDIA_TF32_OVERRIDE "
    "PYTHONMALLOC"
).split()
Read = Callable[[str], str]


def read(path: str) -> str:
    """A small file of the system, or "" where it is not there."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def fingerprint(device: str = "cpu", read: Read = read) -> dict[str, Any]:
    """Everything about this machine and build that times depend on. Imports torch. Unknown is None, never a guess."""
    import torch

    found = {
        "processor": processor(read),
        "system": {"kernel": platform.release(), "os": platform.system(), "architecture": platform.machine()},
        "memory_bytes": memory_bytes(read),
        "allocator": allocator(read("/proc/self/maps")),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "python": platform.python_version(),
        "torch": torch_build(torch),
    }
    if device.startswith("cuda"):
        from analyzer.timing.gpu import describe

        found["gpu"] = describe(torch, device)
    return found


def processor(read: Read = read) -> dict[str, Any]:
    """Model, flags that matter to kernels, caches, governor, quota and affinity."""
    lines = [line.partition(":") for line in read("/proc/cpuinfo").splitlines()]
    info = {
        key.strip(): value.strip() for key, _, value in reversed(lines)
    }  # The first processor's, where they differ.
    flags = set((info.get("flags") or info.get("Features") or "").split())
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "model": info.get("model name") or platform.processor() or None,
        "family": [info[key] for key in ("vendor_id", "cpu family", "model", "stepping") if key in info],
        "flags": [flag for flag in FLAGS if flag in flags],
        "count": os.cpu_count(),
        "affinity": affinity,
        "quota": quota(read("/sys/fs/cgroup/cpu.max")),
        "caches": caches(read),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "mhz": _number(info.get("cpu MHz")),
    }


def caches(read: Read = read) -> list[dict[str, Any]]:
    """Of the first processor: level, kind, bytes, and the processors that share it."""
    found = []
    for index in range(8):
        base = f"/sys/devices/system/cpu/cpu0/cache/index{index}/"
        size, level = _bytes(read(base + "size")), read(base + "level")
        if size and level.isdigit():
            shared = read(base + "shared_cpu_list") or None
            found.append({"level": int(level), "kind": read(base + "type").lower(), "bytes": size, "shared": shared})
    return found


def quota(text: str) -> float | None:
    """Processors that a container may use at once: `150000 100000` is 1.5; None where there is no limit."""
    limit, _, period = text.partition(" ")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() and int(period) else None


def memory_bytes(read: Read = read) -> int | None:
    line = next((line for line in read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), "")
    number = "".join(filter(str.isdigit, line))
    return int(number) * 1024 if number else None


def allocator(maps: str) -> str:
    """Which malloc is loaded: it decides whether a large output costs a fault a page."""
    known = ("jemalloc", "tcmalloc", "mimalloc")
    return next((name for name in known if name in maps), "the system's")


def torch_build(torch: Any) -> dict[str, Any]:
    """The version with its build, and the libraries that its kernels come from."""
    config = torch.__config__.show()
    parts = [line.strip(" -") for line in config.splitlines()]
    wanted = ("Intel(R) oneAPI", "Intel(R) MKL-DNN", "OpenMP", "CPU capability", "CUDA Runtime", "CuDNN", "NNPACK")
    return {
        "version": torch.__version__,
        "libraries": [part for part in parts if part.startswith(wanted)],
        "blas": next((p.split("BLAS_INFO=")[1].split(",")[0] for p in parts if "BLAS_INFO=" in p), None),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "python_optimised": sys.flags.optimize > 0,
    }


def _bytes(text: str) -> int | None:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number = text.rstrip("KMG")
    return int(number) * units.get(text[-1:], 1) if number.isdigit() else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
