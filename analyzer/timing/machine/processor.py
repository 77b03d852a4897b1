"""The processor as times depend on it, from files of the system. No torch."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analyzer.timing.machine.contention import affinity

FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 avx_vnni amx_tile "
    "amx_bf16 amx_fp16 amx_int8 asimd asimdhp bf16 sve sve2 i8mm"
).split()
Read = Callable[[str], str]


def read(path: str) -> str:
    """A small system file, or "" if it does not exist."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


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


def _bytes(text: str) -> int | None:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number = text.rstrip("KMG")
    return int(number) * units.get(text[-1:], 1) if number.isdecimal() else None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
