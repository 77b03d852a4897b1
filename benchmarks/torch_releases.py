"""Counts that must not change with the release of torch.

    python -m benchmarks.torch_releases [--torchvision] [--write]

All variants and 260 operators, with `--torchvision` also 43 networks of torchvision, each forward and backward.
Prints what differs from tests/reference/counts_of_releases.json, or writes the file. torchvision's operators in C++ fit
one release of torch; its networks do not need them.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer import count
from analyzer.networks import VARIANTS
from analyzer.records.record import Record

FILE = Path(__file__).parents[1] / "tests" / "reference" / "counts_of_releases.json"
Counts = dict[str, list[int | None]]

# Functions of a tensor of 4 x 6.
UNARY = (
    "abs acos acosh angle asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor "
    "frac i0 isfinite isinf isnan isneginf lgamma log log10 log1p log2 logical_not logit nan_to_num neg positive "
    "rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc clone conj "
    "count_nonzero sum mean prod std var amax amin max min median nanmean nansum std_mean var_mean argmax "
    "argmin norm flatten t trace diag tril triu logdet fliplr flipud"
).split()
BINARY = (
    "add sub mul div true_divide fmod remainder pow atan2 hypot maximum minimum fmax fmin eq ne lt le gt ge "
    "logical_and logical_or logical_xor copysign xlogy logaddexp logaddexp2 dist cdist kron inner "
    "isclose"
).split()
OF_DIMENSION = (
    "sum mean prod amax amin argmax argmin std var logsumexp cumsum cumprod cummax cummin logcumsumexp softmax "
    "log_softmax sort argsort unbind norm nansum median mode any all diff"
).split()
ACTIVATIONS = (
    "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu silu softplus "
    "softshrink softsign tanhshrink normalize dropout alpha_dropout rrelu glu"
).split()
IN_PLACE = "relu elu celu selu hardtanh leaky_relu relu6 hardsigmoid hardswish silu mish".split()
LOSSES = (
    "mse_loss l1_loss smooth_l1_loss huber_loss soft_margin_loss kl_div poisson_nll_loss "
    "binary_cross_entropy_with_logits"
).split()
POOLS = "max_pool avg_pool adaptive_avg_pool adaptive_max_pool".split()
PADDINGS = ("constant", "reflect", "replicate", "circular")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area")


class Calls(nn.Module):
    """A function of a product with a weight, so that there is a backward pass, and of other tensors."""

    def __init__(
        self, function: Callable[..., Any], shape: tuple[int, ...], others: tuple[tuple[int, ...], ...]
    ) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(shape))
        self.others = nn.ParameterList(nn.Parameter(torch.ones(size)) for size in others)

    def forward(self, x: Tensor) -> Any:
        return self.function(x * self.weight, *self.others)


def operators() -> Iterator[tuple[str, Callable[..., Any], tuple[int, ...], tuple[tuple[int, ...], ...]]]:
    """Name, function, shape of the first argument and shapes of the others."""
    matrix, image = (4, 6), (2, 4, 8, 8)
    for name in UNARY:
        yield name, getattr(torch, name), (4, 4) if name == "logdet" else matrix, ()
    yield "nonzero_static", partial(torch.nonzero_static, size=3), matrix, ()
    for name in BINARY:
        yield f"{name} of two", getattr(torch, name), matrix, (matrix,)
    for name in OF_DIMENSION:
        yield f"{name} of an axis", partial(getattr(torch, name), dim=1), matrix, ()
    for name in ACTIVATIONS:
        yield f"F.{name}", getattr(F, name), matrix, ()
    for name in IN_PLACE:
        yield f"F.{name} in place", partial(getattr(F, name), inplace=True), matrix, ()
    for name in LOSSES:
        yield f"F.{name}", partial(_loss, getattr(F, name)), matrix, ()
    for name in POOLS:
        yield f"F.{name}2d", partial(_pool, getattr(F, f"{name}2d")), image, ()
    yield "F.lp_pool2d", partial(F.lp_pool2d, norm_type=2, kernel_size=2), image, ()
    for mode in PADDINGS:
        yield f"F.pad {mode}", partial(F.pad, pad=(1, 1, 1, 1), mode=mode), image, ()
    for mode in INTERPOLATIONS:
        yield f"F.interpolate {mode}", partial(F.interpolate, scale_factor=2, mode=mode), image, ()
    for axes in (1, 2, 3):
        for kind, widths in {"conv": (6, 2), "conv_transpose": (4, 3)}.items():
            function = partial(getattr(F, f"{kind}{axes}d"), stride=2, groups=2)
            yield f"F.{kind}{axes}d", function, (2, 4, *[8] * axes), ((*widths, *[3] * axes),)
    yield "F.batch_norm", lambda x: F.batch_norm(x, None, None, training=True), image, ()
    yield "F.instance_norm", F.instance_norm, image, ()
    yield "F.group_norm", lambda x: F.group_norm(x, 2), image, ()
    yield "F.local_response_norm", lambda x: F.local_response_norm(x, 3), image, ()
    yield "F.layer_norm", lambda x: F.layer_norm(x, (6,)), matrix, ()
    yield "F.rms_norm", lambda x: F.rms_norm(x, (6,)), matrix, ()
    yield "F.unfold", lambda x: F.unfold(x, 3), image, ()
    yield "F.pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), image, ()
    yield "F.grid_sample", lambda x, g: F.grid_sample(x, g, align_corners=False), image, ((2, 5, 5, 2),)
    yield "F.linear", F.linear, matrix, ((3, 6), (3,))
    yield "F.bilinear", F.bilinear, matrix, ((4, 5), (3, 6, 5))
    yield "F.prelu", F.prelu, matrix, ((1,),)
    yield "F.cross_entropy", lambda x: F.cross_entropy(x, _indices(x)), matrix, ()
    yield "F.embedding", lambda x: F.embedding(_indices(x), x), matrix, ()
    yield "F.embedding_bag", lambda x: F.embedding_bag(_indices(x)[None], x), matrix, ()
    heads, pairs = (2, 4, 8, 16), (2, 2, 8, 16)
    yield "attention", F.scaled_dot_product_attention, heads, (heads, heads)
    yield "causal attention", partial(F.scaled_dot_product_attention, is_causal=True), heads, (heads, heads)
    yield "attention of groups", partial(F.scaled_dot_product_attention, enable_gqa=True), heads, (pairs, pairs)
    yield "mm", torch.mm, matrix, ((6, 3),)
    yield "mv", torch.mv, matrix, ((6,),)
    yield "dot", torch.dot, (6,), ((6,),)
    yield "outer", torch.outer, (6,), ((5,),)
    yield "bmm", torch.bmm, (2, 4, 6), ((2, 6, 3),)
    yield "matmul", torch.matmul, (2, 1, 4, 6), ((3, 6, 3),)
    yield "addmm", torch.addmm, (4, 3), (matrix, (6, 3))
    yield "addmv", torch.addmv, (4,), (matrix, (6,))
    yield "addr", torch.addr, matrix, ((4,), (6,))
    yield "baddbmm", torch.baddbmm, (2, 4, 3), ((2, 4, 6), (2, 6, 3))
    yield "addbmm", torch.addbmm, (4, 3), ((2, 4, 6), (2, 6, 3))
    yield "tensordot", lambda x, y: torch.tensordot(x, y, dims=([1], [0])), matrix, ((6, 3),)
    yield "einsum", lambda x, y: torch.einsum("bij,bjk->bk", x, y), (2, 4, 6), ((2, 6, 3),)
    yield "chain", lambda x, y, z: torch.linalg.multi_dot([x, y, z]), matrix, ((6, 3), (3, 2))
    yield "addcmul", torch.addcmul, matrix, (matrix, matrix)
    yield "addcdiv", torch.addcdiv, matrix, (matrix, matrix)
    yield "lerp", torch.lerp, matrix, (matrix, matrix)
    yield "where", lambda x, y: torch.where(x > 0, x, y), matrix, (matrix,)
    yield "clamp", lambda x: x.clamp(0, 1), matrix, ()
    yield "cat", lambda x, y: torch.cat([x, y], 1), matrix, (matrix,)
    yield "stack", lambda x, y: torch.stack([x, y]), matrix, (matrix,)
    yield "roll", lambda x: x.roll(1, 1), matrix, ()
    yield "gather", lambda x: x.gather(1, _indices(x)[:, None]), matrix, ()
    yield "index_select", lambda x: x.index_select(0, _indices(x)), matrix, ()
    yield "index", lambda x: x[_indices(x)], matrix, ()
    yield "index_add", lambda x, y: x.index_add(0, _indices(x), y), matrix, (matrix,)
    yield "scatter_add", lambda x, y: x.scatter_add(0, _indices(x)[:, None].expand(4, 6), y), matrix, (matrix,)
    yield "topk", lambda x: x.topk(2)[0], matrix, ()
    yield "masked_fill", lambda x: x.masked_fill(x > 0, 0.0), matrix, ()
    yield "fft", lambda x: torch.fft.rfft(x).abs(), matrix, ()
    for name in ("inv", "cholesky", "det", "eigvalsh", "matrix_exp"):
        yield f"linalg.{name}", getattr(torch.linalg, name), (4, 4), ()
    yield "linalg.qr", torch.linalg.qr, (6, 4), ()
    yield "linalg.solve", torch.linalg.solve, (4, 4), ((4, 2),)
    for kind, layer in {"lstm": nn.LSTM(6, 5), "gru": nn.GRU(6, 5), "rnn": nn.RNN(6, 5)}.items():
        yield kind, layer, (3, 2, 6), ()


def _loss(loss: Callable[..., Tensor], x: Tensor) -> Tensor:
    return loss(x, torch.zeros_like(x))


def _pool(pool: Callable[..., Tensor], x: Tensor) -> Tensor:
    return pool(x, 2)


def _indices(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device) % 4


def counts(record: Record) -> list[int | None]:
    totals = record.totals
    return [totals.params, totals.macs, totals.flops, totals.activations, totals.backward_macs]


def count_variants() -> Counts:
    return {name: counts(count(name, counter="dispatch", train=True)) for name in VARIANTS}


def count_operators() -> Counts:
    return {
        name: counts(count(Calls(function, shape, others), torch.ones(shape), train=True))
        for name, function, shape, others in operators()
    }


def count_torchvision() -> Counts:
    models = _torchvision_models()
    # The widths of a RegNet are computed from tensors and so need values.
    names = [name for name in models.list_models(module=models) if not name.startswith("regnet")]
    networks = {}
    for name in (name for index, name in enumerate(names) if index % 3):
        with torch.device("meta"):
            model = models.get_model(name, weights=None)
        networks[name] = counts(count(model, torch.empty(2, 3, 224, 224, device="meta"), train=True))
        print(".", end="", flush=True, file=sys.stderr)
    return networks


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--torchvision", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    counted = {"variants": count_variants(), "operators": count_operators()}
    if options.torchvision:
        counted["torchvision"] = count_torchvision()
    expected = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if options.write:
        lines = [f"{json.dumps(kind)}: {_lines(values)}" for kind, values in {**expected, **counted}.items()]
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        return
    different = 0
    for kind, values in counted.items():
        names = [name for name, value in values.items() if expected[kind].get(name) != value]
        different += len(names)
        print(f"torch {torch.__version__}: {len(values)} {kind}, {len(names)} differ", *names[:20])
    sys.exit(different > 0)


def _lines(values: Counts) -> str:
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()) + "\n}"


def _torchvision_models() -> Any:
    try:
        import torchvision.models as models
    except RuntimeError:  # torchvision registers kernels for operators that it could not load.
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        import torchvision.models as models
    return models


_LIBRARIES: list[Any] = []  # A library's operators live as long as the object.


if __name__ == "__main__":
    main()
