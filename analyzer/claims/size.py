"""Claims about whole networks: parameters and multiply-adds of GoogLeNet, its variants and AlexNet."""

from __future__ import annotations

from analyzer.claims import table1
from analyzer.claims.claim import NOTE, PAPER, Claim, Printed, Verdict, confirmed_if, module_totals
from analyzer.core.units import percent, scaled, times
from analyzer.counting.api import count
from analyzer.records.record import Record


def twelve_times_fewer() -> Claim:
    googlenet, trained = count("googlenet"), count("googlenet", train=True)
    alexnet, tower = count("alexnet").totals.params, count("alexnet-torchvision").totals.params
    vision = count("googlenet-torchvision").totals.params
    params, linear = googlenet.totals.params, module_totals(googlenet, "linear").params
    printed = float(table1.totals().printed_weights)
    ratios = {
        "ratio": alexnet / params,
        "single_tower_over_googlenet": tower / params,
        "torchvision_over_torchvision": tower / vision,
        "without_googlenet_linear": alexnet / (params - linear),
        "with_aux_heads": alexnet / trained.totals.params,
        "paper_table_sum_K1024": alexnet / printed,
    }
    claimed = Printed("12")
    return Claim(
        id="12x-fewer-params",
        claim="GoogLeNet has 12 times fewer parameters than AlexNet (Krizhevsky et al. 2012).",
        source=f"{PAPER}, section 1; {NOTE}",
        operands={
            "alexnet_torchvision": tower,
            "googlenet_torchvision": vision,
            "googlenet_linear": linear,
            "googlenet_with_aux_heads": trained.totals.params,
            "paper_table_sum_of_weights": printed,
        },
        computed={"alexnet_caffe": alexnet, "googlenet_caffe": params, **ratios},
        verdict=confirmed_if(any(claimed.is_exact(ratio) for ratio in ratios.values())),
        condition=f"It is {times(ratios['ratio'])}: {alexnet:,} / {params:,}. No reading gives 12: the sum of the "
        f"paper's column gives {times(ratios['paper_table_sum_K1024'])}, without the last linear layer it is "
        f"{times(ratios['without_googlenet_linear'])}, with the auxiliary heads {times(ratios['with_aux_heads'])}. "
        f"12 times needs a network of {scaled(float(alexnet / claimed.value))} parameters; the same group later wrote "
        "5 million (Szegedy et al. 2015, arXiv 1512.00567, section 1).",
        summary=times(ratios["ratio"]),
        formula=f"{alexnet:,} ÷ {params:,} = {ratios['ratio']:.2f}",
    )


def budget() -> Claim:
    dense_record, separable_record = count("googlenet"), count("googlenet-separable-stem")
    dense, separable = dense_record.totals.macs, separable_record.totals.macs
    dense_conv1, separable_conv1 = (module_totals(record, "conv1").macs for record in (dense_record, separable_record))
    vision = count("googlenet-torchvision").totals.macs
    claimed = Printed("1.5", 10**9)
    verdict: Verdict = "confirmed" if claimed.is_exact(dense) else "not reproduced"
    if not claimed.is_exact(dense) and claimed.is_exact(separable):
        verdict = "confirmed under a condition"
    return Claim(
        id="1.5-billion-budget",
        claim="GoogLeNet keeps to a budget of 1.5 billion multiply-adds at inference.",
        source=f"{PAPER}, section 1",
        operands={"dense_conv1_macs": dense_conv1, "separable_conv1_macs": separable_conv1},
        computed={
            "dense_stem": dense,
            "separable_stem": separable,
            "paper_ops_sum": int(table1.totals().printed_macs),
            "torchvision_3x3": vision,
        },
        verdict=verdict,
        condition=f"With the separable stem of Table 1: {scaled(separable)}. The published network has a dense 7x7 "
        f"stem: {scaled(dense)}, {percent(float(dense / claimed.value - 1))} over. torchvision's has "
        f"{scaled(vision)} for another reason: it has 3x3 where the paper has 5x5.",
        summary=f"{scaled(dense)}, or {scaled(separable)}",
        formula=f"{dense:,} − {dense_conv1:,} + {separable_conv1:,} = {separable:,}",
    )


def compute_against_alexnet() -> Claim:
    googlenet, alexnet = count("googlenet").totals, count("alexnet").totals
    ratio = googlenet.macs / alexnet.macs
    return Claim(
        id="flops-vs-alexnet",
        claim="GoogLeNet, with its fewer parameters, also computes less than AlexNet.",
        source=f"inferred from {PAPER}, section 1",
        operands={"googlenet_macs": googlenet.macs, "alexnet_macs": alexnet.macs},
        computed={"googlenet_over_alexnet_macs": ratio},
        verdict=confirmed_if(ratio < 1),
        condition=f"It has {times(alexnet.params / googlenet.params)} fewer parameters and {times(ratio)} more "
        f"multiply-adds: {scaled(googlenet.macs)} against {scaled(alexnet.macs)}.",
        summary=f"{times(ratio)} more MACs",
        formula=f"{googlenet.macs:,} ÷ {alexnet.macs:,} = {ratio:.2f}",
    )


def average_pooling() -> Claim:
    """Accuracy cannot be counted; the cost of the fully connected layer can."""
    googlenet, head = count("googlenet"), count("googlenet-fc-head")
    narrow = count("googlenet-fc-head", overrides={"fc.out": 1000})
    linear = module_totals(googlenet, "linear").params
    weights = _weights(head, "fc")
    return Claim(
        id="gap-top1",
        claim="Average pooling in place of a fully connected layer raises top-1 accuracy by 0.6 %.",
        source=f"{PAPER}, section 5; {NOTE}, section 3.3",
        operands={"googlenet_params": googlenet.totals.params, "linear_params": linear},
        computed={
            "7x7x1024_to_1024_weights": weights,
            "7x7x1024_to_1000_weights": _weights(narrow, "fc"),
            "fc1024_head_network_params": head.totals.params,
        },
        verdict="not decidable by counting",
        condition=f"Accuracy has to be measured. By counting, the pool saves {weights:,} weights and has none. The "
        f"linear layer after it has {linear:,} parameters, {percent(linear / googlenet.totals.params)} "
        "of the network.",
        summary=f"{weights:,} weights saved",
        formula=f"7 · 7 · 1024 · 1024 = {weights:,}",
    )


def alexnet_fully_connected() -> Claim:
    alexnet = count("alexnet")
    layers = [module_totals(alexnet, name) for name in ("fc6", "fc7", "fc8")]
    params, macs = sum(layer.params for layer in layers), sum(layer.macs for layer in layers)
    share, macs_share = params / alexnet.totals.params, macs / alexnet.totals.macs
    return Claim(
        id="fc-params-alexnet",
        claim="AlexNet's fully connected layers hold most of its parameters.",
        source=f"{NOTE}, section 3.3",
        operands={
            **{f"{name}_params": layer.params for name, layer in zip(("fc6", "fc7", "fc8"), layers, strict=True)},
            "alexnet_params": alexnet.totals.params,
            "alexnet_macs": alexnet.totals.macs,
            "fc_macs": macs,
        },
        computed={"fc_params": params, "share": share, "fc_macs_share": macs_share},
        verdict=confirmed_if(share > 1 / 2),
        condition=f"{percent(share)} of its parameters, {percent(macs_share)} of its multiply-adds.",
        summary=f"{percent(share)} of params",
        formula=f"({' + '.join(f'{layer.params:,}' for layer in layers)}) ÷ {alexnet.totals.params:,} = "
        f"{percent(share)}",
    )


def _weights(record: Record, path: str) -> int:
    return sum(row.weights for row in record.rows if row.path == path)
