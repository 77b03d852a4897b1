"""Which machine a case may run on: the patterns of its `needs`, and a GPU for a case on `cuda`."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.records.sweep_result import Case
from analyzer.timing.machine.processor import processor

NEEDS = ("cpu", "gpu", "host")
QUERY_S = 20.0  # nvidia-smi loads the driver, if nothing else keeps it loaded.


class Machine(Frozen):
    """The machine of a worker, by the names of its processor and of the GPUs that the worker sees."""

    host: str
    cpu: str
    gpus: tuple[str, ...] = ()


def this_machine() -> Machine:
    return Machine(socket.gethostname(), str(processor()["model"] or ""), _gpus())


def check_needs(needs: Mapping[str, str]) -> None:
    """Raises AnalyzerError for a need that no machine has."""
    if unknown := [name for name in needs if name not in NEEDS]:
        raise AnalyzerError(f"unknown need {quoted(unknown[0])}; {nearest(unknown[0], NEEDS)}")


def unmet(case: Case, machine: Machine) -> str:
    """Why a case may not run on a machine; empty if it may."""
    names = {"cpu": (machine.cpu,), "gpu": machine.gpus, "host": (machine.host,)}
    device, _, index = case.configuration.device.partition(":")
    if device == "cuda" and int(index or 0) >= len(machine.gpus):
        return f"{case.configuration.device}: it has {len(machine.gpus) or 'no'} GPU"
    for need, pattern in case.needs.items():
        if not any(matches(pattern, name) for name in names[need]):
            return f"{need} = {quoted(pattern)}: it has {one_line(', '.join(filter(None, names[need])) or 'none')}"
    return ""


def matches(pattern: str, name: str) -> bool:
    """Whether a shell pattern describes a whole name or one of its words, whatever the case: `H100`, `AMD*`."""
    pattern, name = pattern.lower(), name.lower()
    return any(fnmatchcase(text, pattern) for text in (name, *name.split()))


def _gpus() -> tuple[str, ...]:
    """The names of the GPUs in the order of their numbers in torch, without importing it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1"):
        return ()
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", *(["--id", visible] if visible else [])]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=QUERY_S)
    except (OSError, subprocess.TimeoutExpired):
        return ("AMD GPU",) if Path("/dev/kfd").exists() else ()
    return tuple(line.strip() for line in answer.stdout.splitlines()) if answer.returncode == 0 else ()
