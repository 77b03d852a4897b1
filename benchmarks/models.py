"""Speed of counting any model, relative to a forward pass on meta and to other counters.

    python -m benchmarks.models [--rounds 9] [--only warm|process] [REF ...]

Without REF: the paper's GoogLeNet and torchvision's (with batch norms), ResNet-50 and ViT-B/16. All are interleaved.
Warm: the model is built once and counted repeatedly; counters that fail on meta run on real tensors, as they are used.
Process: a process imports torch and the model's library, builds the model and counts it; the base only imports and
builds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles
from typing import Any

from benchmarks.peers import PEERS, installed

DEFAULT = ("googlenet", "torchvision:googlenet", "torchvision:resnet50", "torchvision:vit_b_16")
SHAPE = (1, 3, 224, 224)
BASE = "forward pass on meta"


def build(reference: str, device: str) -> Any:
    """A model in eval mode on meta or on the CPU."""
    import torch

    library, _, name = reference.rpartition(":")
    with torch.device(device):
        if not library:
            from analyzer import build as build_network

            return build_network(name).to(device)
        models = importlib.import_module(f"{library}.models")
        return getattr(models, name)(**({"init_weights": False} if name == "googlenet" else {})).eval()


def counters(reference: str) -> dict[str, Callable[[], object]]:
    """Every way to count the model, with the model already built."""
    import torch

    from analyzer.counting.execution.run import count_model

    meta, cpu = build(reference, "meta"), build(reference, "cpu")
    meta_inputs, cpu_inputs = torch.empty(SHAPE, device="meta"), torch.zeros(SHAPE)

    def forward(model: Any, inputs: Any) -> object:
        with torch.inference_mode():
            return model(inputs)

    return {
        BASE: partial(forward, meta, meta_inputs),
        "ours on meta": lambda: count_model(meta, [meta_inputs]),
        "FlopCounterMode on meta": partial(PEERS["FlopCounterMode"], meta, meta_inputs),
        "forward pass on the CPU": partial(forward, cpu, cpu_inputs),
        "ours on the CPU": lambda: count_model(cpu, [cpu_inputs], on="real"),
        **{f"{name} on the CPU": partial(count, cpu, cpu_inputs) for name, count in PEERS.items() if installed(name)},
    }


def time_warm(reference: str, rounds: int) -> None:
    """Prints medians, and ratios to the forward pass on meta of the same round."""
    times_s: dict[str, list[float]] = defaultdict(list)
    ways = counters(reference)
    for number in range(rounds + 2):  # The first two warm up.
        for name, count in ways.items():
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                count()
            if number >= 2:
                times_s[name].append(time.perf_counter() - start)
    for name, samples in times_s.items():
        ratio = median(sample / base for sample, base in zip(samples, times_s[BASE], strict=True))
        print(f"  {name:28} {1e3 * median(samples):8.1f} ms, {ratio:6.2f} x a {BASE}")


def time_processes(reference: str, rounds: int) -> None:
    """Prints medians and quartiles of ratios to a process that imports and builds only."""
    library, _, name = reference.rpartition(":")
    options = ["--model", reference] if library else ["--variant", name, "--counter", "dispatch"]
    build_code = f"import torch; from benchmarks.models import build; model = build({reference!r}, 'cpu')"
    count_code = "from benchmarks.peers import PEERS; PEERS[{peer!r}](model, torch.zeros({shape}))"
    commands = {
        "import torch and build": ["-c", build_code],
        "analyze": ["-m", "analyzer", *options],
        **{
            peer: ["-c", f"{build_code}; {count_code.format(peer=peer, shape=SHAPE)}"]
            for peer in PEERS
            if installed(peer)
        },
    }
    times_s: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):  # The first fills the caches.
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            if number:
                times_s[name].append(time.perf_counter() - start)
    base = times_s["import torch and build"]
    for name, samples in times_s.items():
        low, middle, high = quantiles((a / b for a, b in zip(samples, base, strict=True)), n=4)
        print(f"  {name:28} {1e3 * median(samples):8.0f} ms, {middle:6.2f} x ({low:.2f} to {high:.2f})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", nargs="*", default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=("warm", "process"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for reference in options.references:
        if options.only != "process":
            print(f"{reference}, warm", flush=True)
            time_warm(reference, options.rounds)
        if options.only != "warm":
            print(f"{reference}, whole process", flush=True)
            time_processes(reference, max(options.rounds // 3, 2))  # Seconds each.
    return 0


if __name__ == "__main__":
    sys.exit(main())
