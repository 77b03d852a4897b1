"""Low-precision products of torch, bitsandbytes and torchao, counted like the floating-point products they replace.

A packed weight hides its shape, so the formulas use the output and the input's features; a packed convolution is
unpacked for the size of its filters.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from analyzer.core.shapes import Shape
from analyzer.counting.operators.attention_and_recurrent import CELL_OPERATIONS
from analyzer.counting.operators.call import Call, Formula, Work, named, products
from analyzer.counting.operators.convolutions_and_linear import grouped_matmul, linear
from analyzer.counting.operators.matrix_products import matmul


def packed_linear(call: Call) -> Work:
    """Output elements times input features; a packed bias cannot be seen and is counted."""
    return products(prod(call.outputs[0]) * call.args[0][-1], prod(call.outputs[0]))


def linear_with(bias: int | None = None, source: int = 0) -> Formula:
    """(..., in) · (out, in)ᵀ; `bias` and `source` are the places of an optional bias and of the input."""

    def work(call: Call) -> Work:
        output = prod(call.outputs[0])
        biased = bias is not None and call.arg(bias, "bias") is not None
        return products(output * call.args[source][-1], output if biased else 0)

    return work


def packed_convolution(*, transposed: bool) -> Formula:
    def work(call: Call) -> Work:
        packed: Any = next(value for value in call.args if isinstance(value, torch.ScriptObject))
        filters, bias = packed.unpack()
        # Filters are (out, in / groups, *kernel), and those of a transposed convolution (in, out / groups, *kernel).
        moved = call.args[0] if transposed else call.outputs[0]
        return products(prod(moved) * prod(filters.shape[1:]), prod(call.outputs[0]) if bias is not None else 0)

    return work


def dynamic_4bit(call: Call) -> Work:
    return products(prod(call.outputs[0]) * call.args[3])


def semi_structured(dense: int) -> Formula:
    """A 2:4 sparse left side stores half of its columns: the summed axis is that of the dense right side."""
    return lambda call: products(prod(call.outputs[0]) * call.args[dense][0])


def recurrent(gates: int, cell: int) -> Formula:
    """`quantized_lstm` and `quantized_gru`; packed weights are hidden, so that sizes come from input and states."""

    def work(call: Call) -> Work:
        source = call.args[0]
        # A packed batch has its sizes as a second argument, which moves the others by one.
        first = 1 if isinstance(call.args[3], bool) else 2
        states, layers, bidirectional = call.args[first], call.args[first + 3], call.args[first + 6]
        state: Shape = states[0] if isinstance(states[0], tuple) else states
        ways, hidden = 1 + bidirectional, state[-1]
        steps = prod(source[:-1])
        widths = [source[-1]] + [ways * hidden] * (layers - 1)
        macs = sum(ways * gates * hidden * (width + hidden) for width in widths)
        return products(steps * macs, steps * layers * ways * (2 * gates + cell) * hidden)

    return work


def cell(gates: int, operations: int) -> Formula:
    """One step of a dynamically quantized cell: (batch, features) and a state (batch, hidden)."""

    def work(call: Call) -> Work:
        source, states = call.args[:2]
        batch, hidden = states[0] if isinstance(states[0], tuple) else states
        macs = batch * gates * hidden * (source[-1] + hidden)
        return products(macs, batch * hidden * (2 * gates + operations))

    return work


LSTM, GRU, RNN = (CELL_OPERATIONS[name] for name in ("lstm", "gru", "rnn"))
QUANTIZED: dict[str, Formula] = {
    **named(matmul, "_int_mm _scaled_mm _scaled_mm_v2 _weight_int8pack_mm _weight_int4pack_mm"),
    **named(matmul, "_weight_int4pack_mm_for_cpu _weight_int4pack_mm_with_scales_and_zeros"),
    **named(grouped_matmul(5), "_scaled_grouped_mm _scaled_grouped_mm_v2"),
    **named(dynamic_4bit, "_dyn_quant_matmul_4bit"),
    **named(linear_with(bias=9), "_mixed_dtypes_linear _sparse_semi_structured_linear"),  # A bias by name only.
    **named(semi_structured(1), "_cslt_sparse_mm"),
    **named(semi_structured(2), "_sparse_semi_structured_mm"),
    **named(semi_structured(3), "_sparse_semi_structured_addmm"),
    **named(recurrent(4, LSTM), "quantized_lstm"),
    **named(recurrent(3, GRU), "quantized_gru"),
    **named(cell(4, LSTM), "quantized_lstm_cell"),
    **named(cell(3, GRU), "quantized_gru_cell"),
    **named(cell(1, RNN), "quantized_rnn_tanh_cell quantized_rnn_relu_cell"),
    **named(cell(4, LSTM), "quantized_lstm_cell_dynamic", "quantized"),
    **named(cell(3, GRU), "quantized_gru_cell_dynamic", "quantized"),
    **named(cell(1, RNN), "quantized_rnn_tanh_cell_dynamic quantized_rnn_relu_cell_dynamic", "quantized"),
    **named(packed_linear, "linear linear_relu linear_leaky_relu linear_tanh", "quantized"),
    **named(packed_linear, "linear_dynamic linear_relu_dynamic", "quantized"),
    **named(packed_linear, "linear_dynamic_fp16 linear_relu_dynamic_fp16", "quantized"),
    **named(packed_linear, "linear_with_input_q_dq_qweight_dq_output_fp32", "quantized"),
    **named(packed_linear, "linear_with_input_q_dq_qweight_dq_relu_output_fp32", "quantized"),
    **named(linear, "linear_dynamic_fp16_unpacked_weight", "quantized"),
    **named(matmul, "matmul int4mm_packed_weight_cpu", "quantized"),
    **named(packed_linear, "qlinear qlinear_relu qlinear_dynamic qlinear_relu_dynamic", "sparse"),
    **named(
        packed_convolution(transposed=False),
        "conv1d conv2d conv3d conv1d_relu conv2d_relu conv3d_relu conv2d_add conv2d_add_relu "
        "conv1d_dynamic conv2d_dynamic conv3d_dynamic",
        "quantized",
    ),
    **named(
        packed_convolution(transposed=True),
        "conv_transpose1d conv_transpose2d conv_transpose3d "
        "conv_transpose1d_dynamic conv_transpose2d_dynamic conv_transpose3d_dynamic",
        "quantized",
    ),
    **named(linear_with(), "int8_linear_matmul gemv_4bit", "bitsandbytes"),
    **named(linear_with(bias=4), "int8_scaled_mm", "bitsandbytes"),
    **named(linear_with(bias=6), "int8_mixed_scaled_mm gemm_4bit", "bitsandbytes"),
    **named(matmul, "int_matmul int_scaled_matmul", "torchao"),
    **named(linear_with(source=2), "quant_llm_linear", "torchao"),
    **named(linear_with(), "fp16act_fp6weight_linear marlin_24_gemm marlin_qqq_gemm", "torchao"),
    **named(linear_with(bias=4), "rowwise_scaled_linear_cutlass_s8s4", "torchao"),
}
