"""Counting any model: speed beside a bare forward pass on meta and beside every peer, and whole processes.

    python -m benchmarks.models [--rounds 9] [--only warm|whole] [REF ...]

Without REF: GoogLeNet, the paper's and torchvision's (with batch norms), ResNet-50 and ViT-B/16.

Everything takes turns in one run. Warm: the model is built once and counted again and again; peers that fail on meta
run on real tensors, which is how they are used. Whole: a process that imports torch and the model's library, builds the
model and counts it, against one that only imports and builds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

DEFAULT = ("googlenet", "torchvision:googlenet", "torchvision:resnet50", "torchvision:vit_b_16")
SIZE = (3, 224, 224)
PEERS = ("fvcore", "ptflops", "thop", "torchinfo", "calflops")


def build(reference: str, device: str) -> Any:
    """A model in eval mode on meta or on the CPU."""
    import torch

    scheme, _, name = reference.rpartition(":")
    with torch.device(device):
        if not scheme:
            from analyzer import build as ours

            return ours(name).to(device)
        library = importlib.import_module(f"{scheme}.models")
        return getattr(library, name)(**({"init_weights": False} if name == "googlenet" else {})).eval()


def counters(reference: str) -> dict[str, Callable[[], object]]:
    """Every way to count the model, warm; each makes what it needs once."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from analyzer.counting.execution.run import count_model

    meta, real = build(reference, "meta"), build(reference, "cpu")
    there, here = torch.empty(1, *SIZE, device="meta"), torch.zeros(1, *SIZE)

    def bare(model: Any, source: Any) -> Callable[[], object]:
        def run() -> object:
            with torch.inference_mode():
                return model(source)

        return run

    def flop_counter(model: Any, source: Any) -> Callable[[], object]:
        def run() -> object:
            with FlopCounterMode(display=False) as mode, torch.no_grad():
                model(source)
            return mode.get_total_flops()

        return run

    def fvcore() -> object:
        from fvcore.nn import FlopCountAnalysis

        return FlopCountAnalysis(real, here).unsupported_ops_warnings(False).total()

    def ptflops() -> object:
        from ptflops import get_model_complexity_info

        return get_model_complexity_info(real, SIZE, as_strings=False, print_per_layer_stat=False)

    def thop() -> object:
        from thop import profile

        return profile(real, inputs=(here,), verbose=False)

    def torchinfo() -> object:
        from torchinfo import summary

        return summary(real, input_data=here, verbose=0)

    def calflops() -> object:
        from calflops import calculate_flops

        return calculate_flops(real, input_shape=(1, *SIZE), print_results=False, output_as_string=False)

    peers = {"fvcore": fvcore, "ptflops": ptflops, "thop": thop, "torchinfo": torchinfo, "calflops": calflops}
    return {
        "bare forward on meta": bare(meta, there),
        "ours on meta": lambda: count_model(meta, [there]),
        "FlopCounterMode on meta": flop_counter(meta, there),
        "bare forward on the CPU": bare(real, here),
        "ours on real tensors": lambda: count_model(real, [here], on="real"),
        "FlopCounterMode on the CPU": flop_counter(real, here),
        **{name: run for name, run in peers.items() if importlib.util.find_spec(name)},
    }


def warm(reference: str, rounds: int) -> None:
    """Medians, and ratios to the bare forward pass of the same round."""
    times: dict[str, list[float]] = defaultdict(list)
    ways = counters(reference)
    for number in range(rounds + 2):
        for name, count in ways.items():
            start = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                count()
            if number >= 2:
                times[name].append(time.perf_counter() - start)
    bare = times["bare forward on meta"]
    for name, own in times.items():
        ratios = sorted(one / other for one, other in zip(own, bare, strict=True))
        print(f"  {name:28} {1e3 * median(own):8.1f} ms, {median(ratios):6.2f} x a bare forward on meta")


def whole(reference: str, rounds: int) -> None:
    """Whole processes: ours and each peer against importing and building alone."""
    scheme, _, name = reference.rpartition(":")
    make = f"from benchmarks.models import build; model = build({reference!r}, 'cpu')"
    flag = ["--model", reference] if scheme else ["--variant", name, "--counter", "dispatch"]
    commands = {
        "import torch and build": ["-c", f"import torch; {make}"],
        "analyze": ["-m", "analyzer", *flag],
        **{
            peer: ["-c", f"import torch; from benchmarks.models import one; one({reference!r}, {peer!r})"]
            for peer in ("FlopCounterMode", *PEERS)
            if peer == "FlopCounterMode" or importlib.util.find_spec(peer)
        },
    }
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            if number:
                times[name].append(time.perf_counter() - start)
    base = times["import torch and build"]
    for name, own in times.items():
        ratios = [a / b for a, b in zip(own, base, strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        print(f"  {name:28} {1e3 * median(own):8.0f} ms, {middle:6.2f} x ({low:.2f} to {high:.2f})")


def one(reference: str, peer: str) -> None:
    """A peer's whole process: build on the CPU and count once, as its readme says."""
    import torch

    model, source = build(reference, "cpu"), torch.zeros(1, *SIZE)
    if peer == "FlopCounterMode":
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False), torch.no_grad():
            model(source)
    elif peer == "fvcore":
        from fvcore.nn import FlopCountAnalysis

        FlopCountAnalysis(model, source).unsupported_ops_warnings(False).total()
    elif peer == "ptflops":
        from ptflops import get_model_complexity_info

        get_model_complexity_info(model, SIZE, as_strings=False, print_per_layer_stat=False)
    elif peer == "thop":
        from thop import profile

        profile(model, inputs=(source,), verbose=False)
    elif peer == "torchinfo":
        from torchinfo import summary

        summary(model, input_data=source, verbose=0)
    else:
        from calflops import calculate_flops

        calculate_flops(model, input_shape=(1, *SIZE), print_results=False, output_as_string=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", nargs="*", default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=("warm", "whole"))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for reference in asked.references:
        if asked.only != "whole":
            print(f"{reference}, warm", flush=True)
            warm(reference, asked.rounds)
        if asked.only != "warm":
            print(f"{reference}, whole process", flush=True)
            whole(reference, max(asked.rounds // 3, 2))  # Seconds each.
    return 0


if __name__ == "__main__":
    sys.exit(main())
