"""Claims about the structure of GoogLeNet: depth, building blocks, dropout."""

from __future__ import annotations

from collections import Counter

from analyzer.claims.auxiliary import heads
from analyzer.claims.claim import NOTE, PAPER, Claim, Verdict, confirmed_if
from analyzer.counting.api import count
from analyzer.networks.spec import (
    AdaptiveAvgPool,
    Auxiliary,
    AvgPool,
    Block,
    Branches,
    Conv,
    DepthwiseConv,
    Dropout,
    Linear,
    MaxPool,
    Node,
    Sequential,
)
from analyzer.networks.variants import variant
from analyzer.networks.walk import Mode, walk

POOLS = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d")


def layers() -> Claim:
    network = variant("googlenet").network
    depth, pools = _longest_path(network.trunk)
    rows = [row for row in count("googlenet").rows if row.weights]
    convolutions = sum(row.op == "conv2d" for row in rows)
    return Claim(
        id="22-layers",
        claim="GoogLeNet is 22 layers deep counting layers with parameters, 27 with pooling.",
        source=f"{PAPER}, section 5; {NOTE}",
        operands={"convolutions": convolutions, "linear_layers": len(rows) - convolutions},
        computed={
            "depth_parametrised": depth,
            "pools_on_path": pools,
            "depth_with_pooling": depth + pools,
            "parametrised_layers_in_total": len(rows),
            "convolutions": convolutions,
        },
        verdict=confirmed_if((depth, depth + pools) == (22, 27)),
        condition=f"On the longest path; pools inside modules are parallel to it. In total {len(rows)} layers have "
        f"parameters: {convolutions} convolutions and {len(rows) - convolutions} linear.",
        summary=f"{depth}, {depth + pools} with pools",
    )


def _longest_path(node: Node) -> tuple[int, int]:
    """Layers with parameters on the path with the most of them, and pools on that path, without auxiliary heads."""
    if isinstance(node, Block):
        node = node.expand()
    if isinstance(node, Sequential):
        paths = [_longest_path(child) for child in node.children.values() if not isinstance(child, Auxiliary)]
        if isinstance(node, Branches):
            return max(paths)
        return sum(depth for depth, _ in paths), sum(pools for _, pools in paths)
    return int(isinstance(node, Conv | DepthwiseConv | Linear)), int(
        isinstance(node, MaxPool | AvgPool | AdaptiveAvgPool)
    )


def building_blocks() -> Claim:
    inference, training = _blocks("inference"), _blocks("training")
    relus = sum(step.layer.op == "relu" for step in walk(variant("googlenet").network))
    caffe = sum(inference.values()) + relus + 1
    without, trained = sum(inference.values()), sum(training.values())
    verdict: Verdict = "not reproduced"
    if _about_100(without):
        verdict = "confirmed"
    elif _about_100(trained):
        verdict = "confirmed under a condition"
    return Claim(
        id="about-100-blocks",
        claim="GoogLeNet is built of about 100 independent building blocks.",
        source=f"{PAPER}, section 5",
        operands={
            **inference,
            **{f"heads_{kind}": (training - inference)[kind] for kind in training - inference},
            "relu": relus,
            "input": 1,
        },
        computed={
            "inference_without_input_and_relu": without,
            "with_both_aux_heads": trained,
            "caffe_deploy_layers_with_relu_and_input": caffe,
        },
        verdict=verdict,
        condition=f"With both auxiliary heads and a ReLU as part of its layer: {trained}; {without} at inference; "
        f"{caffe} in Caffe's file, with ReLUs and the input. About means within 10 %. macscope returns logits, so "
        "one softmax per output is added, as in Caffe. Flattening is not a block.",
        summary=f"{trained} with heads, {without} without",
    )


def _about_100(blocks: int) -> bool:
    return abs(blocks - 100) <= 10


def _blocks(mode: Mode) -> Counter[str]:
    """Caffe's layers by kind, without ReLU and input, with one softmax per output."""
    ops = Counter(step.layer.op for step in walk(variant("googlenet").network, mode=mode))
    return Counter(
        conv=ops["conv2d"],
        pool=sum(ops[op] for op in POOLS),
        lrn=ops["local_response_norm"],
        concat=ops["cat"],
        dropout=ops["dropout"],
        linear=ops["linear"],
        softmax=1 + (len(heads(variant("googlenet").network)) if mode == "training" else 0),
    )


def dropout() -> Claim:
    rates, vision = _rates("googlenet"), _rates("googlenet-torchvision")
    return Claim(
        id="dropout-40",
        claim="40 % of the pooled features are dropped before the last linear layer.",
        source=f"{PAPER}, Table 1",
        operands={"googlenet_torchvision": vision[0]},
        computed=rates,
        verdict="confirmed under a condition" if rates == [0.4] != vision else confirmed_if(rates == [0.4]),
        condition=f"The paper's and Caffe's network drop {_shares(rates)}, torchvision's {_shares(vision)}. "
        "A hyperparameter, read and not counted.",
        summary=_shares(rates),
    )


def _rates(name: str) -> list[float]:
    """The rates of the dropout layers outside the auxiliary heads."""
    return [step.layer.p for step in walk(variant(name).network) if isinstance(step.layer, Dropout)]


def _shares(rates: list[float]) -> str:
    return ", ".join(f"{100 * rate:g} %" for rate in rates)
