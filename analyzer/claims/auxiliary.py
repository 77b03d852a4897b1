"""Claims about the two auxiliary classifiers of GoogLeNet, which exist in training only."""

from __future__ import annotations

from typing import Any

from analyzer.claims.claim import NOTE, PAPER, Claim, confirmed_if, module_totals
from analyzer.core.units import percent, scaled
from analyzer.counting.api import count
from analyzer.networks.googlenet import AUXILIARY_WEIGHT
from analyzer.networks.spec import Auxiliary, AvgPool, Conv, Dropout, Flatten, Network
from analyzer.networks.variants import variant
from analyzer.networks.walk import walk
from analyzer.records.rows import Row

# A head's layers by path: name after `loss1/` or `loss2/` and type in train_val.prototxt. ReLUs are left out.
CAFFE = {
    "pool": ("ave_pool", "Pooling"),
    "conv.conv": ("conv", "Convolution"),
    "fc": ("fc", "InnerProduct"),
    "dropout": ("drop_fc", "Dropout"),
    "linear": ("classifier", "InnerProduct"),
}


def heads(network: Network) -> list[str]:
    return [name for name, row in network.rows.items() if isinstance(row, Auxiliary)]


def loss_weight() -> Claim:
    weights = [*(AUXILIARY_WEIGHT for _ in heads(variant("googlenet").network)), 1]
    return Claim(
        id="aux-weight",
        claim="In training the losses of the auxiliary classifiers are weighted by 0.3.",
        source=f"{PAPER}, section 5; {NOTE}",
        operands={"auxiliary_heads": len(weights) - 1},
        computed=weights,
        verdict=confirmed_if(weights == [0.3, 0.3, 1]),
        condition="A hyperparameter (BVLC Caffe, train_val.prototxt: loss_weight), read and not counted; the last "
        "weight is that of the main loss.",
        summary=", ".join(map(str, weights)),
    )


def heads_structure() -> Claim:
    network = variant("googlenet").network
    rows = {row.path: row for row in count("googlenet", train=True).rows}
    layers = [_layers(network, name, number, rows) for number, name in enumerate(heads(network), start=1)]
    # Section 5: 4×4×512 after 4a and 4×4×528 after 4d.
    claimed = [([5, 5], [3, 3], [channels, 4, 4], [1, 1], 128, [1024], 0.7, [1000]) for channels in (512, 528)]
    inference, training = count("googlenet").totals, count("googlenet", train=True).totals
    params, macs = training.params - inference.params, training.macs - inference.macs
    return Claim(
        id="aux-structure",
        claim="An auxiliary classifier is an average pool 5x5/3 (to 4×4×512 at 4a, 4×4×528 at 4d), a 1x1 convolution "
        "to 128, a fully connected layer to 1024, dropout of 70 % and a linear layer to 1000 classes.",
        source=f"{PAPER}, section 5",
        operands={"heads_params": params, "heads_macs": macs},
        computed=[layer for head in layers for layer in head],
        verdict=confirmed_if([_as_claimed(head) for head in layers] == claimed),
        condition=f"Together the heads add {params:,} parameters ({percent(params / inference.params)} of the network) "
        f"for {macs:,} multiply-adds ({100 * macs / inference.macs:.2f} %).",
        summary=f"{len(layers)} heads of {len(layers[0])} layers",
    )


def _layers(network: Network, head: str, number: int, rows: dict[str, Row]) -> list[dict[str, Any]]:
    """A head's layers as in Caffe: shapes without the batch; flattening is part of the fully connected layer."""
    layers: list[dict[str, Any]] = []
    unflattened = None
    for step in walk(network, mode="training"):
        name = step.path.removeprefix(f"{head}.")
        if name == step.path:
            continue
        source = unflattened or step.inputs[0]
        unflattened = source if isinstance(step.layer, Flatten) else None
        if name not in CAFFE:
            continue
        caffe_name, kind = CAFFE[name]
        layer: dict[str, Any] = {"name": f"loss{number}/{caffe_name}", "type": kind}
        if isinstance(step.layer, AvgPool | Conv):
            layer |= {"kernel": [step.layer.kernel] * 2, "stride": [step.layer.stride] * 2}
        layer |= {"in_shape": list(source[1:]), "out_shape": list(step.output[1:])}
        layer |= {key: getattr(rows[step.path], key) for key in ("weights", "biases", "macs")}
        if isinstance(step.layer, Dropout):
            layer["dropout_ratio"] = step.layer.p
        layers.append(layer)
    return layers


def _as_claimed(head: list[dict[str, Any]]) -> tuple[Any, ...]:
    """The properties of a head that section 5 gives, in its order."""
    pool, conv, fc, dropout, linear = head
    return (
        *(pool[key] for key in ("kernel", "stride", "out_shape")),
        conv["kernel"],
        conv["out_shape"][0],
        fc["out_shape"],
        dropout["dropout_ratio"],
        linear["out_shape"],
    )


def removed_at_inference() -> Claim:
    inference, training = count("googlenet"), count("googlenet", train=True)
    params = {name: module_totals(training, name).params for name in heads(variant("googlenet").network)}
    remaining = [row for row in inference.rows if row.path.partition(".")[0] in params]
    return Claim(
        id="aux-removed",
        claim="The auxiliary classifiers are discarded at inference.",
        source=f"{PAPER}, section 5; {NOTE}",
        operands={f"{name}_params": value for name, value in params.items()},
        computed={"params_train": training.totals.params, "params_deploy": inference.totals.params},
        verdict=confirmed_if(
            not remaining and training.totals.params - inference.totals.params == sum(params.values()) != 0
        ),
        condition="The network in training has exactly "
        + " and ".join(f"{size:,} parameters of {name}" for name, size in params.items())
        + " more.",
        summary=f"{scaled(training.totals.params)} to {scaled(inference.totals.params)} params",
        formula=f"{training.totals.params:,} − {' − '.join(f'{size:,}' for size in params.values())} = "
        f"{inference.totals.params:,}",
    )
