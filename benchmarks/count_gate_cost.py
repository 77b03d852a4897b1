"""The cost of `analyze check` on a zoo: `python -m benchmarks.count_gate_cost [--models 50] [--rounds 1]`.

Needs the extra `zoo`. The models are one of each family of timm, the first in alphabetical order with at most
MAX_PARAMS parameters. Processor time of the whole check, imports and worker processes included, is divided by that of
one process that imports timm and builds each model once. Building on meta is shown too: it computes no weights.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import parse_options

MAX_PARAMS = 100_000_000
BUILD = (
    "import sys, timm, torch\nfor name in sys.argv[2:]:\n    with torch.device(sys.argv[1]): timm.create_model(name)"
)


def small_models(count: int) -> list[str]:
    """One model of each family, the same in every run."""
    import timm
    import torch

    names = []
    for family in timm.list_modules():
        for name in timm.list_models(module=family):
            with torch.device("meta"):
                params = sum(weight.numel() for weight in timm.create_model(name).parameters())
            if params <= MAX_PARAMS:
                names.append(name)
                break
    if len(names) < count:
        raise SystemExit(f"timm has {len(names)} families with a small model, fewer than {count}")
    return [names[index * len(names) // count] for index in range(count)]


def processor_s(command: Sequence[str], folder: Path) -> float:
    """User and system time of a process and all its children. Raises CalledProcessError if it fails."""

    def used_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before_s = used_s()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return used_s() - before_s


def main() -> None:
    options = parse_options(__doc__, models=50, rounds=1)
    names = small_models(options.models)
    print(f"{len(names)} models: {' '.join(names)}", flush=True)
    analyze = [sys.executable, "-m", "analyzer", "check"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = ", ".join(f'"timm:{name}"' for name in names)
        (folder / "pyproject.toml").write_text(f"[tool.analyzer.check]\nmodels = [{models}]\n", encoding="utf-8")
        commands = {
            "building once": [sys.executable, "-c", BUILD, "cpu", *names],
            "building on meta": [sys.executable, "-c", BUILD, "meta", *names],
            "analyze check": [*analyze],
        }
        processor_s([*analyze, "--update"], folder)
        for _ in range(options.rounds):
            times_s = {name: processor_s(command, folder) for name, command in commands.items()}
            for name, time_s in times_s.items():
                print(f"{name}: {time_s:.1f} s of processor time")
            print(
                f"analyze check ÷ building once: {times_s['analyze check'] / times_s['building once']:.2f}", flush=True
            )


if __name__ == "__main__":
    main()
