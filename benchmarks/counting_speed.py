"""Speed of counting any model, relative to a forward pass on meta and to other counters.

    python -m benchmarks.counting_speed [--rounds 9] [--only warm|process] [REF ...]

Without REF: the paper's GoogLeNet and torchvision's (with batch norms), ResNet-50 and ViT-B/16. All are interleaved.
Warm: the model is built once and counted repeatedly; counters that fail on meta run on real tensors, as they are used.
Process: a process imports torch and the model's library, builds the model and counts it; the base only imports and
builds.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.common import interleave, parse_options, process, ratio_text
from benchmarks.other_counters import PEERS, installed

DEFAULT = ("googlenet", "torchvision:googlenet", "torchvision:resnet50", "torchvision:vit_b_16")
SHAPE = (1, 3, 224, 224)
WARM_BASE, PROCESS_BASE = "a forward pass on meta", "import torch and build"


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

    from analyzer.counting.execution.count_any_model import count_model

    meta, cpu = build(reference, "meta"), build(reference, "cpu")
    meta_inputs, cpu_inputs = torch.empty(SHAPE, device="meta"), torch.zeros(SHAPE)

    @torch.inference_mode()
    def forward(model: Any, inputs: Any) -> object:
        return model(inputs)

    return {
        WARM_BASE: partial(forward, meta, meta_inputs),
        "ours on meta": lambda: count_model(meta, [meta_inputs]),
        "FlopCounterMode on meta": partial(PEERS["FlopCounterMode"], meta, meta_inputs),
        "a forward pass on the CPU": partial(forward, cpu, cpu_inputs),
        "ours on the CPU": lambda: count_model(cpu, [cpu_inputs], on="real"),
        **{f"{name} on the CPU": partial(count, cpu, cpu_inputs) for name, count in PEERS.items() if installed(name)},
    }


def processes(reference: str) -> dict[str, Callable[[], object]]:
    """Every way to count the model in a fresh process."""
    library, _, name = reference.rpartition(":")
    options = ["--model", reference] if library else ["--variant", name, "--counter", "dispatch"]
    build_code = f"import torch; from benchmarks.counting_speed import build; model = build({reference!r}, 'cpu')"
    count_code = "from benchmarks.other_counters import PEERS; PEERS[{!r}](model, torch.zeros({}))"
    peers = {peer: f"{build_code}; {count_code.format(peer, SHAPE)}" for peer in PEERS if installed(peer)}
    return {
        PROCESS_BASE: process(sys.executable, "-c", build_code),
        "analyze": process(sys.executable, "-m", "analyzer", *options),
        **{peer: process(sys.executable, "-c", code) for peer, code in peers.items()},
    }


def main() -> None:
    options = parse_options(__doc__, references=list(DEFAULT), rounds=9, only=str)
    warnings.simplefilter("ignore")
    for reference in options.references:
        if options.only != "process":
            print(f"{reference}, warm", flush=True)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                times_s = interleave(counters(reference), options.rounds, warm_up=2)
            print("\n".join(f"  {name:28} {ratio_text(times_s, name, WARM_BASE)}" for name in map(str, times_s)))
        if options.only != "warm":
            print(f"{reference}, whole process", flush=True)
            times_s = interleave(processes(reference), max(options.rounds // 3, 2))  # Seconds each.
            print("\n".join(f"  {name:28} {ratio_text(times_s, name, PROCESS_BASE)}" for name in map(str, times_s)))


if __name__ == "__main__":
    main()
