"""Formulas of `analyze scale` against counts at 1,000 random sizes: `python -m benchmarks.scaling` (extra `zoo`).

Built-in networks, models of torchvision and timm, and families of transformers; three metrics each.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS
from analyzer.scaling.api import Scaling, scale
from analyzer.worker import client

POINTS = 1000
SEED = 23
METRICS = ("params", "macs", "flops")
IMAGES = "torchvision:{alexnet,densenet121,efficientnet_b0,googlenet,inception_v3,mnasnet1_0,mobilenet_v2,\
mobilenet_v3_small,regnet_y_400mf,resnet50,resnext50_32x4d,shufflenet_v2_x1_0,squeezenet1_0,vgg11,fcn_resnet50,\
convnext_tiny} timm:{resnet18,efficientvit_b0,mobileone_s0,repvgg_a0}"
TEXTS = "albert bart bert bloom deberta distilbert electra gpt2 gpt_neox llama mistral opt phi roberta t5 qwen2"

LLAMA_8B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "dtype": "bfloat16",
}  # fmt: skip


def names() -> list[str]:
    groups = [group.rstrip("}").split(":{") for group in IMAGES.split()]
    images = [f"{library}:{name}" for library, listed in groups for name in listed.split(",")]
    return [*VARIANTS, *images, *(f"hf:{name}" for name in TEXTS.split())]


def differences(costs: Scaling, number: int, choose: random.Random) -> tuple[int, list[str]]:
    """How many values were compared at `number` random sizes of the domain, and the sizes where one differs."""
    compared, wrong = 0, []
    fit = costs.fits[0]
    for _ in range(number):
        point = {
            name: along.domain.low
            + along.domain.step
            * choose.randint(0, min(24, (along.domain.high - along.domain.low) // along.domain.step))
            for name, along in fit.axes.items()
        }
        values = costs.count(point)
        for metric in METRICS:
            if metric in fit.formulas and values is not None:
                compared += 1
                if fit.formulas[metric].at(point) != values[metric]:
                    wrong.append(f"{metric} at {point}: {fit.formulas[metric].at(point)} for {values[metric]}")
    return compared, wrong


def networks_per_s(seconds: float = 2.0) -> float:
    """Named variants with a changed width that one core counts in closed form, by processor time."""
    choose, number = random.Random(SEED), 0
    start = time.process_time()
    while time.process_time() < start + seconds:
        analyzer.count("googlenet", overrides={"inception_4a.reduce_5x5": choose.randint(1, 64)})
        number += 1
    return number / (time.process_time() - start)


def goals(seconds: dict[str, float]) -> list[str]:
    """Wall times of formulas over two sizes against their goals; of references from the start of the worker on."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(LLAMA_8B), encoding="utf-8")
        start = time.perf_counter()
        try:
            scale(f"hf:{folder}")
        finally:
            client.close()
        of_8b = time.perf_counter() - start
    slowest = max(VARIANTS, key=lambda name: seconds.get(name, 0))
    return [
        f"slowest named variant, {slowest}: {seconds[slowest]:.2f} s (goal 0.15 s)",
        f"hf:gpt2: {seconds['hf:gpt2']:.2f} s with import (goal 3 s)",
        f"8B configuration: {of_8b:.2f} s with import (goal 10 s after import)",
        f"closed form: {networks_per_s():,.0f} networks a second (goal 1,000)",
    ]


def main() -> int:
    choose = random.Random(SEED)
    models = names()
    share = -(-POINTS // len(models))
    total, failed = 0, 0
    times: dict[str, float] = {}
    for name in models:
        start = time.perf_counter()
        try:
            costs = scale(name)
            times[name] = seconds = time.perf_counter() - start
            compared, wrong = differences(costs, share, choose)
        except AnalyzerError as error:
            print(f"{name}: {error}")
            failed += 1
            continue
        finally:
            client.close()
        total += compared
        formula = costs.fits[0].formulas.get("macs")
        print(
            f"{name}: {seconds:.2f} s, {compared} values, {len(wrong)} wrong; {formula.text() if formula else 'none'}"
        )
        for line in wrong:
            print(f"  {line}")
        failed += bool(wrong or not formula)
    print(f"{total} values compared; {failed} of {len(models)} models without a formula, or with a wrong one")
    print(*goals(times), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
