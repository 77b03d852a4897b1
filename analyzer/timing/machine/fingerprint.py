"""The machine's fingerprint: the hardware and software that influence times, without names of hosts or persons."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from typing import Any

from analyzer.timing.machine.processor import Read, processor, read

PREFIXES = tuple("OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ BLIS_ ONEDNN_ DNNL_ MALLOC_ TCMALLOC_ MIMALLOC_".split())
VARIABLES = (
    "ATEN_CPU_CAPABILITY LD_PRELOAD DYLD_INSERT_LIBRARIES GLIBC_TUNABLES PYTHONMALLOC PYTORCH_CUDA_ALLOC_CONF "
    "PYTORCH_ALLOC_CONF CUDA_LAUNCH_BLOCKING NVIDIA_TF32_OVERRIDE CUBLAS_WORKSPACE_CONFIG"
).split()
FOLDERS = re.compile(r"[^\s:;,='\"]*/")  # The folders of a path may name a person; the file name is kept.


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
