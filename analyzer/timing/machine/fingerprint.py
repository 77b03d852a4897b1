"""The machine's fingerprint: the hardware and software that influence times, without names of hosts or persons."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.timing.machine.contention import affinity

FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile "
    "amx_bf16 amx_fp16 amx_int8 asimd asimdhp bf16 sve sve2 i8mm"
).split()
PREFIXES = tuple("OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ BLIS_ ONEDNN_ DNNL_ MALLOC_ TCMALLOC_ MIMALLOC_".split())
VARIABLES = (
    "ATEN_CPU_CAPABILITY LD_PRELOAD DYLD_INSERT_LIBRARIES GLIBC_TUNABLES PYTHONMALLOC PYTORCH_CUDA_ALLOC_CONF "
    "PYTORCH_ALLOC_CONF CUDA_LAUNCH_BLOCKING NVIDIA_TF32_OVERRIDE CUBLAS_WORKSPACE_CONFIG"
).split()
FOLDERS = re.compile(r"[^\s:;,='\"]*/")  # The folders of a path may name a person; the file name is kept.
Read = Callable[[str], str]


def read(path: str) -> str:
    """A small system file, or "" if it does not exist."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def fingerprint(device: str = "cpu", read: Read = read) -> dict[str, Any]:
    """Everything about this machine and torch build that times depend on; None where unknown. Imports torch."""
    cpu = processor(read)  # Before torch: torch loads OpenMP, which may bind this thread to one processor.
    import torch

    environment = {
        "processor": cpu,
        "system": {"kernel": platform.release(), "os": platform.system(), "architecture": platform.machine()},
        "memory_bytes": memory_bytes(read),
        "allocator": allocator(read("/proc/self/maps")),
        "huge_pages": bracketed(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "environment": variables(os.environ),
        "python": platform.python_version(),
        "torch": torch_build(torch),
    }
    if device.startswith("cuda"):
        from analyzer.timing.machine.gpu import describe

        environment["gpu"] = describe(torch, device)
    return environment


def processor(read: Read = read) -> dict[str, Any]:
    """Model, the flags that matter to kernels, caches, governor, quota and affinity."""
    lines = [line.partition(":") for line in read("/proc/cpuinfo").splitlines()]
    pairs = [(key.strip(), value.strip()) for key, _, value in lines]
    info = dict(reversed(pairs))  # The first processor's, where they differ.
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return {
        "model": info.get("model name") or platform.processor() or None,
        "family": [info[key] for key in ("vendor_id", "cpu family", "model", "stepping") if key in info],
        "flags": [flag for flag in FLAGS if flag in flags],
        "count": os.cpu_count(),
        "sockets": len({value for key, value in pairs if key == "physical id"}) or None,
        "cores": cores(pairs),
        "virtual": "hypervisor" in flags,
        "affinity": list(affinity()) or None,
        "quota": quota(read("/sys/fs/cgroup/cpu.max") or cgroup_v1_quota(read)),
        "caches": caches(read),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "mhz": _float(info.get("cpu MHz", "")),
    }


def cores(pairs: Sequence[tuple[str, str]]) -> int | None:
    """The number of physical cores, from the (key, value) lines of /proc/cpuinfo; None if it has none."""
    socket, seen = "", set()
    for key, value in pairs:
        if key == "physical id":
            socket = value
        elif key == "core id":
            seen.add((socket, value))
    return len(seen) or None


def caches(read: Read = read) -> list[dict[str, Any]]:
    """The caches of the first processor: level, kind, bytes, and the processors that share it."""
    levels = []
    for index in range(8):
        base = f"/sys/devices/system/cpu/cpu0/cache/index{index}/"
        size, level = _bytes(read(base + "size")), read(base + "level")
        if size and level.isdecimal():
            shared = read(base + "shared_cpu_list") or None
            levels.append({"level": int(level), "kind": read(base + "type").lower(), "bytes": size, "shared": shared})
    return levels


def quota(text: str) -> float | None:
    """Processors that a container may use at once: `150000 100000` is 1.5; None without a limit."""
    limit, _, period = text.partition(" ")
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() and int(period) else None


def cgroup_v1_quota(read: Read) -> str:
    """The same two numbers from control groups version 1, where -1 means no limit."""
    base = "/sys/fs/cgroup/cpu/cpu.cfs_"
    return f"{read(base + 'quota_us')} {read(base + 'period_us')}"


def bracketed(text: str) -> str | None:
    """The active choice: `always [madvise] never` → `madvise`."""
    match = re.search(r"\[(\w+)\]", text)
    return match[1] if match else None


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that affect the speed of kernels or allocations, without the folders in their values."""
    return {
        name: FOLDERS.sub("", value)
        for name, value in sorted(environment.items())
        if name in VARIABLES or name.startswith(PREFIXES)
    }


def memory_bytes(read: Read = read) -> int | None:
    match = re.search(r"^MemTotal:\s*(\d+) kB", read("/proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def allocator(maps: str) -> str:
    """Which malloc is loaded: it decides whether a large output costs one page fault per page."""
    known = ("jemalloc", "tcmalloc", "mimalloc")
    return next((name for name in known if name in maps), "the system's")


def torch_build(torch: Any) -> dict[str, Any]:
    """The version of torch, and the libraries that its kernels come from."""
    lines = [line.strip(" -") for line in torch.__config__.show().splitlines()]
    libraries = ("Intel(R) oneAPI", "Intel(R) MKL-DNN", "OpenMP", "CPU capability", "CUDA Runtime", "CuDNN", "NNPACK")
    return {
        "version": torch.__version__,
        "libraries": [line for line in lines if line.startswith(libraries)],
        "blas": next((line.split("BLAS_INFO=")[1].split(",")[0] for line in lines if "BLAS_INFO=" in line), None),
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


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
