"""The machine's fingerprint: what a time depends on and a reader cannot see. No name of a host or a person is in it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.records.comparable import stable_key
from analyzer.timing.machine.contention import affinity

__all__ = ["fingerprint", "stable_key"]

FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile "
    "amx_bf16 amx_fp16 amx_int8 asimd asimdhp bf16 sve sve2 i8mm"
).split()
FAMILIES = (
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "BLIS_",
    "ONEDNN_",
    "DNNL_",
    "MALLOC_",
    "TCMALLOC_",
    "MIMALLOC_",
)
VARIABLES = (
    "ATEN_CPU_CAPABILITY LD_PRELOAD DYLD_INSERT_LIBRARIES GLIBC_TUNABLES PYTHONMALLOC PYTORCH_CUDA_ALLOC_CONF "
    "PYTORCH_ALLOC_CONF CUDA_LAUNCH_BLOCKING NVIDIA_TF32_OVERRIDE CUBLAS_WORKSPACE_CONFIG"
).split()
FOLDERS = re.compile(r"[^\s:;,='\"]*/")  # Of a path, which may name a person; the file's own name stays.
Read = Callable[[str], str]


def read(path: str) -> str:
    """A small file of the system, or "" where it is not there."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def fingerprint(device: str = "cpu", read: Read = read) -> dict[str, Any]:
    """Everything about this machine and build that times depend on. Imports torch. Unknown is None, never a guess."""
    chip = processor(read)  # Before torch, which loads OpenMP, which may bind this thread to one place.
    import torch

    found = {
        "processor": chip,
        "system": {"kernel": platform.release(), "os": platform.system(), "architecture": platform.machine()},
        "memory_bytes": memory_bytes(read),
        "allocator": allocator(read("/proc/self/maps")),
        "huge_pages": chosen(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "environment": variables(os.environ),
        "python": platform.python_version(),
        "torch": torch_build(torch),
    }
    if device.startswith("cuda"):
        from analyzer.timing.machine.gpu import describe

        found["gpu"] = describe(torch, device)
    return found


def processor(read: Read = read) -> dict[str, Any]:
    """Model, flags that matter to kernels, caches, governor, quota and affinity."""
    lines = [line.partition(":") for line in read("/proc/cpuinfo").splitlines()]
    pairs = [(key.strip(), value.strip()) for key, _, value in lines]
    info = dict(reversed(pairs))  # The first processor's, where they differ.
    every = set((info.get("flags") or info.get("Features") or "").split())
    return {
        "model": info.get("model name") or platform.processor() or None,
        "family": [info[key] for key in ("vendor_id", "cpu family", "model", "stepping") if key in info],
        "flags": [flag for flag in FLAGS if flag in every],
        "count": os.cpu_count(),
        "sockets": len({value for key, value in pairs if key == "physical id"}) or None,
        "cores": cores(pairs),
        "virtual": "hypervisor" in every,
        "affinity": list(affinity()) or None,
        "quota": quota(read("/sys/fs/cgroup/cpu.max") or older_quota(read)),
        "caches": caches(read),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "mhz": _number(info.get("cpu MHz")),
    }


def cores(pairs: Sequence[tuple[str, str]]) -> int | None:
    """How many cores there are, each once, however many processors it shows as; None where that is not told."""
    socket, found = "", set()
    for key, value in pairs:
        if key == "physical id":
            socket = value
        elif key == "core id":
            found.add((socket, value))
    return len(found) or None


def caches(read: Read = read) -> list[dict[str, Any]]:
    """Of the first processor: level, kind, bytes, and the processors that share it."""
    found = []
    for index in range(8):
        base = f"/sys/devices/system/cpu/cpu0/cache/index{index}/"
        size, level = _bytes(read(base + "size")), read(base + "level")
        if size and level.isdecimal():
            shared = read(base + "shared_cpu_list") or None
            found.append({"level": int(level), "kind": read(base + "type").lower(), "bytes": size, "shared": shared})
    return found


def quota(text: str) -> float | None:
    """Processors that a container may use at once: `150000 100000` is 1.5; None where there is no limit."""
    limit, _, period = text.partition(" ")
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() and int(period) else None


def older_quota(read: Read) -> str:
    """The same two numbers, from the older control groups; -1 there is no limit."""
    base = "/sys/fs/cgroup/cpu/cpu.cfs_"
    return f"{read(base + 'quota_us')} {read(base + 'period_us')}"


def chosen(text: str) -> str | None:
    """`always [madvise] never` → `madvise`."""
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else None


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that change how fast kernels or allocations are, without the folders that their values name."""
    return {
        name: FOLDERS.sub("", value)
        for name, value in sorted(environment.items())
        if name in VARIABLES or name.startswith(FAMILIES)
    }


def memory_bytes(read: Read = read) -> int | None:
    line = next((line for line in read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), "")
    number = "".join(filter(str.isdecimal, line))
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
        "onednn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "python_optimised": sys.flags.optimize > 0,
    }


def _bytes(text: str) -> int | None:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number = text.rstrip("KMG")
    return int(number) * units.get(text[-1:], 1) if number.isdecimal() else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
