"""Formulas of less common operators, each with its arithmetic; from shapes alone if a kernel needs a GPU."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.dispatch.counter import record_rows
from analyzer.counting.execution.count_any_model import count_model
from analyzer.counting.operators.call import Call
from analyzer.counting.operators.classify import _formulas, functional_name, lookup
from analyzer.records.rows import Count
from tests.counting.operators.calls import Calls


def counted(function: Callable[..., Any], *args: Any, on: str = "real") -> Count:
    count = count_model(Calls(function), args, train=False, on=on).count
    assert count.unknown_ops == {}
    return count


data = torch.zeros
PRODUCTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int, int]] = {
    # Function, arguments, MACs, other operations.
    "affine_grid": (
        lambda t: F.affine_grid(t, [2, 3, 5, 7], align_corners=False), (data(2, 2, 3),), 2 * 5 * 7 * 2 * 3, 0
    ),
    "affine_grid in space": (
        lambda t: F.affine_grid(t, [2, 3, 4, 5, 7], align_corners=False), (data(2, 3, 4),), 2 * 4 * 5 * 7 * 3 * 4, 0
    ),
    "conv_tbc": (
        lambda x, w, b: torch.conv_tbc(x, w, b, 1), (data(9, 2, 3), data(3, 3, 5), data(5)),
        9 * 2 * 5 * 3 * 3, 9 * 2 * 5,
    ),
    "pdist": (F.pdist, (data(5, 7),), 10 * 7, 10),
    "pdist, another norm": (lambda x: F.pdist(x, 1.0), (data(5, 7),), 0, 3 * 10 * 7),
    # Row i of a triangular system takes i MACs and a division for each right-hand side.
    "solve_triangular": (
        lambda a, b: torch.linalg.solve_triangular(a, b, upper=False), (torch.eye(5), data(5, 3)),
        3 * (1 + 2 + 3 + 4), 3 * 5,
    ),
    "cholesky_solve": (torch.cholesky_solve, (data(5, 3), torch.eye(5)), 2 * 3 * (1 + 2 + 3 + 4), 2 * 3 * 5),
    "addmm_": (lambda x, w: x.new_zeros(3, 5).addmm_(x, w), (data(3, 7), data(7, 5)), 3 * 7 * 5, 3 * 5),
    "mm into out": (
        lambda x, w: torch.mm(x, w, out=x.new_zeros(3, 5)), (data(3, 7), data(7, 5)), 3 * 7 * 5, 0
    ),
    "gelu into out": (lambda x: torch._C._nn.gelu(x, out=torch.zeros_like(x)), (data(3, 7),), 0, 3 * 7),
    "hann_window": (lambda x: x * torch.hann_window(8, device=x.device), (data(3, 8),), 0, 8 + 3 * 8),
    "unfold_backward": (
        lambda x: torch.ops.aten.unfold_backward(x, [2, 10], 1, 4, 2), (data(2, 4, 4),), 0, 2 * 4 * 4
    ),
    "multi-tensor": (lambda x, y: torch._foreach_add([x, y], 1.0), (data(3, 7), data(5)), 0, 3 * 7 + 5),
    "multi-tensor, in place": (lambda x, y: torch._foreach_mul_([x, y], 2.0), (data(3, 7), data(5)), 0, 3 * 7 + 5),
}  # fmt: skip


def test_the_quantization_of_exported_programs_has_no_work():
    """torch exports quantized models with these operators around each product; a scale costs as much as `aminmax`."""
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    quantized = torch.ops.quantized_decomposed

    def run(x: Tensor, weight: Tensor) -> Tensor:
        scale, zero = quantized.choose_qparams(x, -128, 127, 1e-5, torch.int8)
        codes = quantized.quantize_per_tensor(x, scale, zero, -128, 127, torch.int8)
        return F.linear(quantized.dequantize_per_tensor(codes, scale, zero, -128, 127, torch.int8), weight)

    totals = counted(run, data(3, 7), data(5, 7)).totals
    assert (totals.macs, totals.flops) == (3 * 5 * 7, 2 * 3 * 5 * 7 + 3 * 7)


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("on", ["meta", "real"])
def test_formulas(name, on):
    function, args, macs, operations = PRODUCTS[name]
    totals = counted(function, *args, on=on).totals
    assert (totals.macs, totals.flops) == (macs, 2 * macs + operations)


def test_ctc_loss():
    """7 operations per step and state; 2 · 4 + 1 states for each of three targets of four labels."""
    loss = lambda x: F.ctc_loss(x, torch.ones(3, 4, dtype=torch.int64), (9, 9, 9), (4, 4, 4))  # noqa: E731
    assert counted(loss, data(9, 3, 6)).totals.flops >= 9 * 3 * (2 * 4 + 1) * 7


def test_a_spectrogram_and_back_has_nothing_unknown():
    def function(x: Tensor) -> Tensor:
        window = torch.hann_window(16, device=x.device)
        spectrum = torch.stft(x, 16, 4, window=window, return_complex=True)
        return torch.istft(spectrum, 16, 4, window=window)

    assert counted(function, torch.ones(2, 64)).totals.flops > 0


SCAN_STEPS, WIDTH = 10, 8


@pytest.mark.parametrize("on", ["meta", "real"])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_runs_its_step_for_every_row(on, reverse):
    from torch._higher_order_ops.scan import scan

    class Recurrence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(WIDTH, WIDTH))

        def forward(self, x: Tensor) -> Tensor:
            def step(state: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
                state = torch.tanh(state @ self.weight + row)
                return state, state.clone()

            return scan(step, x[0], x, reverse=reverse)[1]

    macs = SCAN_STEPS * 4 * WIDTH * WIDTH
    count = count_model(Recurrence(), (data(SCAN_STEPS, 4, WIDTH),), train=True, on=on).count
    assert (count.totals.macs, count.unknown_ops) == (macs, {})
    # The weight learns at every step; the first state is data and gets no gradient.
    assert count.totals.backward_macs == 2 * macs - 4 * WIDTH * WIDTH


@pytest.mark.parametrize("on", ["meta", "real"])
def test_out_dtype_is_the_operator_that_it_calls(on):
    from torch._higher_order_ops.out_dtype import out_dtype

    args = (torch.zeros(3, 7, dtype=torch.int8), torch.zeros(7, 5, dtype=torch.int8))
    count = counted(lambda x, w: out_dtype(torch.ops.aten.mm.default, torch.int32, x, w), *args, on=on)
    assert count.totals.macs == 3 * 7 * 5


@pytest.fixture
def engine() -> str:
    engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    if not engines:
        pytest.skip("this build of torch has no engine for int8 layers")
    torch.backends.quantized.engine = engines[0]
    return engines[0]


class Static(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quantize, self.dequantize = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.conv, self.depthwise = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dequantize(self.head(self.depthwise(self.conv(self.quantize(x))).mean((2, 3))))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_statically_quantized_network(engine):
    net = Static().eval()
    net.qconfig = torch.ao.quantization.get_default_qconfig(engine)
    torch.ao.quantization.prepare(net, inplace=True)
    net(torch.randn(1, 3, 8, 8))
    torch.ao.quantization.convert(net, inplace=True)
    count = counted(net, data(1, 3, 8, 8))
    # Output elements · kernel · channels per group.
    assert count.totals.macs == 8 * 6 * 6 * (9 * 3) + 8 * 4 * 4 * 9 + 8 * 4
    assert set(count.as_if_dense) == {"quantized::conv2d", "quantized::linear"}


QUANTIZED_RECURRENT = {"lstm": (nn.LSTM, 4), "gru": (nn.GRU, 3)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", QUANTIZED_RECURRENT)
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 2)])
def test_dynamically_quantized_recurrent_layers(name, layers, directions, engine):
    kind, gates = QUANTIZED_RECURRENT[name]
    float_model = nn.Sequential(kind(5, 6, layers, bidirectional=directions == 2))
    model = torch.ao.quantization.quantize_dynamic(float_model, {kind}, dtype=torch.qint8)
    widths = [5] + [directions * 6] * (layers - 1)
    macs = 7 * 3 * directions * gates * 6 * sum(width + 6 for width in widths)
    assert counted(model, data(7, 3, 5)).totals.macs == macs


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_dynamically_quantized_cell(engine):
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTMCell(5, 6)), {nn.LSTMCell}, dtype=torch.qint8)
    assert counted(model, data(3, 5)).totals.macs == 3 * 4 * 6 * (5 + 6)


# Kernels of GPUs and of other libraries: name, arguments as shapes, outputs, MACs.
KERNELS: dict[str, tuple[tuple[Any, ...], tuple[tuple[int, ...], ...], int]] = {
    "aten::_scaled_mm": (((16, 32), (32, 48)), ((16, 48),), 16 * 32 * 48),
    "aten::_weight_int4pack_mm_for_cpu": (((16, 32), (48, 16), 32, (1, 48, 2)), ((16, 48),), 16 * 32 * 48),
    "aten::_dyn_quant_matmul_4bit": (((16, 32), (999,), 32, 32, 48), ((16, 48),), 16 * 32 * 48),
    "aten::_sparse_semi_structured_mm": (((16, 16), (16, 2), (32, 48)), ((16, 48),), 16 * 32 * 48),
    # (batch, length, heads, width), and packed (tokens, heads, width): two sequences of at most 5 and 7.
    "aten::_flash_attention_forward": (
        ((2, 5, 4, 8), (2, 7, 4, 8), (2, 7, 4, 8), None, None, 5, 7), ((2, 5, 4, 8),), 2 * 4 * 5 * 7 * (8 + 8)
    ),
    "aten::_efficient_attention_forward": (
        ((2, 5, 4, 8), (2, 7, 4, 8), (2, 7, 4, 3), None, None, None, None, None), ((2, 5, 4, 3),),
        2 * 4 * 5 * 7 * (8 + 3),
    ),
    "torch_attn::_varlen_attn": (
        ((10, 4, 8), (14, 4, 8), (14, 4, 8), (3,), (3,), 5, 7), ((10, 4, 8),), 2 * 4 * 5 * 7 * (8 + 8)
    ),
    "torchvision::deform_conv2d": (
        ((2, 6, 7, 7), (9, 2, 3, 3), (2, 18, 5, 5), (2, 0), (9,), 1, 1, 0, 0, 1, 1, 3, 1, False), ((2, 9, 5, 5),),
        2 * 9 * 5 * 5 * 9 * 2,
    ),
    "torchvision::nms": (((10, 4), (10,), 0.5), ((4,),), 0),
    "bitsandbytes::int8_scaled_mm": (((2, 16, 32), (48, 32), (32,), (48,)), ((2, 16, 48),), 2 * 16 * 32 * 48),
    "bitsandbytes::gemv_4bit": (((1, 32), (768, 1), (48, 32), (24,), (16,), 64), ((1, 48),), 32 * 48),
    "torchao::int_scaled_matmul": (((16, 32), (32, 48), (16, 1)), ((16, 48),), 16 * 32 * 48),
    "torchao::quant_llm_linear": ((3, 2, (16, 32), (48, 6), (48,), 1), ((16, 48),), 16 * 32 * 48),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_formulas_of_kernels_that_run_elsewhere(name):
    args, outputs, macs = KERNELS[name]
    assert _formulas[name](Call(args, {}, outputs)).macs == macs


def test_an_operator_that_returns_nothing_is_counted_by_what_it_writes(monkeypatch):
    with torch.library._scoped_library("macscope_written", "DEF") as library:
        library.define("product.out(Tensor x, Tensor w, Tensor(a!) out) -> ()")
        monkeypatch.setitem(
            _formulas, "macscope_written::product", lambda call: (prod(call.outputs[0]) * call.args[0][-1],) * 2
        )
        formula = lookup(torch.ops.macscope_written.product.out).formula
        assert formula(Call(((3, 7), (5, 7), (3, 5)), {}, ())) == (3 * 7 * 5,) * 2


@pytest.mark.parametrize(
    ("name", "functional"),
    [("aten::addmm_", "aten::addmm"), ("aten::__iand__", "aten::__and__"), ("aten::__and__", "aten::__and__")],
)
def test_functional_names(name, functional):
    assert functional_name(name) == functional


def test_queries_learned_for_all_samples_broadcast():
    """One set of queries, (1, heads, 5, 8), and a batch of three: what follows has the batch too."""
    function = lambda q, k: F.linear(F.scaled_dot_product_attention(q, k, k).flatten(2), q.new_zeros(4, 40))  # noqa: E731
    macs = 3 * 2 * 5 * 11 * (8 + 8) + 3 * 2 * 4 * 40
    for on in ("meta", "real"):
        assert counted(function, data(1, 2, 5, 8), data(3, 2, 11, 8), on=on).totals.macs == macs


DOUBLE, LONG = torch.float64, torch.int64
REFUSED: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    # torch's CPU kernels refuse these types, and its meta kernels accept them.
    "linear": (F.linear, (data(2, 3, dtype=DOUBLE), data(4, 3))),
    "linear's bias": (F.linear, (data(2, 3), data(4, 3), data(4, dtype=DOUBLE))),
    "mm": (torch.mm, (data(2, 3, dtype=DOUBLE), data(3, 4))),
    "mv": (torch.mv, (data(2, 3, dtype=DOUBLE), data(3))),
    "addmm": (torch.addmm, (data(4, dtype=DOUBLE), data(2, 3), data(3, 4))),
    "conv2d": (F.conv2d, (data(1, 3, 8, 8, dtype=DOUBLE), data(4, 3, 3, 3))),
    "conv_transpose2d": (F.conv_transpose2d, (data(1, 3, 8, 8, dtype=DOUBLE), data(3, 4, 3, 3))),
    "batch_norm": (F.batch_norm, (data(2, 3, 4, 4, dtype=DOUBLE), data(3), data(3))),
    "layer_norm": (lambda x, w: F.layer_norm(x, (3,), w), (data(2, 3, dtype=DOUBLE), data(3))),
    "group_norm": (lambda x, w: F.group_norm(x, 2, w), (data(2, 4, 3, dtype=DOUBLE), data(4))),
    "whole numbers into linear": (F.linear, (data(2, 3, dtype=LONG), data(4, 3))),
    "whole numbers into gelu": (F.gelu, (data(3, dtype=LONG),)),
    "whole numbers into softmax": (lambda x: F.softmax(x, -1), (data(3, dtype=LONG),)),
    # Widths that torch refuses everywhere.
    "batch norm of another width": (F.batch_norm, (data(1, 64, 4, 4), data(32), data(32))),
    "layer norm of another width": (lambda x: F.layer_norm(x, (7,)), (data(2, 8),)),
    "group norm of another width": (lambda x, w: F.group_norm(x, 2, w), (data(2, 8, 3), data(6))),
    "grouped keys without enable_gqa": (
        F.scaled_dot_product_attention, (data(1, 6, 5, 8), data(1, 3, 5, 8), data(1, 3, 5, 8)),
    ),
    "same padding with a stride": (
        lambda x, w: F.conv2d(x, w, padding="same", stride=2), (data(1, 3, 8, 8), data(4, 3, 3, 3)),
    ),
    "no dilation": (lambda x, w: F.conv2d(x, w, dilation=0), (data(1, 3, 8, 8), data(4, 3, 3, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_torch_refuses_is_refused_in_every_place(name):
    function, args = REFUSED[name]
    mode = FakeTensorMode()
    for moved in (args, [arg.to("meta") for arg in args], [mode.from_tensor(arg) for arg in args]):
        with pytest.raises((RuntimeError, ValueError)), record_rows(nn.Identity()):
            function(*moved)


def test_half_precision_may_have_norms_in_single_precision():
    half = data(2, 4, 3, dtype=torch.bfloat16)
    for function in (lambda x, w: F.group_norm(x, 2, w), lambda x, w: F.layer_norm(x.mT, (4,), w)):
        assert counted(function, half, data(4), on="meta").totals.flops == 6 * 2 * 4 * 3


def test_refused_types_are_the_errors_of_a_count():
    import analyzer

    with pytest.raises(analyzer.AnalyzerError, match="same"):
        count_model(nn.Linear(4, 4), (data(3, 4, dtype=DOUBLE),))
