"""Each cause of a difference, on rows written by hand, and differences without a cause."""

from __future__ import annotations

import pytest

from analyzer.reconcile.explain import Explanation, explain
from analyzer.reconcile.families import BATCH, family
from analyzer.reconcile.peers import PEERS, Peer, PeerResult, PeerRow
from analyzer.records.rows import Row

MACS = Peer("a peer", "a", 1, "MACs")
FLOPS = Peer("a peer", "a", 2, "FLOPs, a multiply-add is 2")


def row(
    path: str, op: str, macs: int, extra: int = 0, *, inputs=(), outputs=((1, 1),), weights=0, biases=0, call=1
) -> Row:
    """One of our rows; `extra`: its operations other than MACs."""
    flops, params = 2 * macs + extra, weights + biases
    return Row(path, path, op, call, tuple(inputs), tuple(outputs), params, weights, biases, macs, flops, 0, 0, 0)


def explained(rows: list[Row], peer_rows: list[tuple], peer: Peer = MACS, total: int | None = None) -> Explanation:
    """A peer's rows compared with ours; `total` is their sum by default."""
    rows_of_peer = tuple(PeerRow(*values) for values in peer_rows)
    total = sum(row.figure for row in rows_of_peer) if total is None else total
    explanation = explain(PeerResult(peer.name, "ok", total=total, rows=rows_of_peer), peer, rows)
    # Causes and the unexplained rest add up to the difference, whatever they are.
    assert sum(cause.macs for cause in explanation.causes) + explanation.unexplained == explanation.difference
    assert explanation.difference == explanation.macs - sum(row.macs for row in rows)
    return explanation


def causes(explanation: Explanation) -> list[tuple]:
    return [(cause.cause, cause.what, cause.op, cause.macs, cause.rows) for cause in explanation.causes]


# A 3x3 convolution of 8 to 16 channels on a batch of 2, 10 x 10 positions, with bias.
CONV = row(
    "conv", "conv2d", 2 * 16 * 10 * 10 * 8 * 9, 2 * 16 * 10 * 10,
    inputs=[(2, 8, 10, 10)], outputs=[(2, 16, 10, 10)], weights=16 * 8 * 9, biases=16,
)  # fmt: skip
RELU = row("relu", "relu", 0, 2 * 16 * 10 * 10, outputs=[(2, 16, 10, 10)])
# Positions 7 of 2 samples, 12 features to 5.
LINEAR = row("fc", "linear", 2 * 7 * 12 * 5, 2 * 7 * 5, inputs=[(2, 7, 12)], outputs=[(2, 7, 5)], weights=60, biases=5)
# 4 heads, 6 queries on 9 keys, width 8.
ATTENTION = row(
    "attn", "scaled_dot_product_attention", 2 * 4 * 6 * 9 * (8 + 8), 6 * 2 * 4 * 6 * 9,
    inputs=[(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)], outputs=[(2, 4, 6, 8)],
)  # fmt: skip


def test_equal_figures_have_no_cause():
    explanation = explained([CONV, RELU], [("conv", "_convolution", CONV.macs)])
    assert (explanation.difference, explanation.causes, explanation.unexplained) == (0, (), 0)


def test_flops_are_converted_to_macs_by_the_peers_convention():
    explanation = explained([CONV], [("conv", "convolution", 2 * CONV.macs)], FLOPS)
    assert (explanation.macs, explanation.difference, explanation.causes) == (CONV.macs, 0, ())


def test_an_odd_number_of_flops_gives_half_a_mac():
    explanation = explained([CONV], [("conv", "convolution", 2 * CONV.macs), ("conv", "add", 3)], FLOPS)
    assert causes(explanation) == [("convention", "counts elementwise", "add", 1.5, 1)]
    assert (explanation.difference, explanation.unexplained) == (1.5, 0)


def test_a_bias_is_one_operation_per_output_element():
    explanation = explained([CONV], [("conv", "conv2d", CONV.macs + 2 * 16 * 10 * 10)])
    assert causes(explanation) == [("convention", "counts bias", "conv2d", 2 * 16 * 10 * 10, 1)]


def test_a_bias_may_be_counted_once_per_call():
    explanation = explained([LINEAR], [("fc", "addmm", LINEAR.macs + 5)])
    assert causes(explanation) == [("convention", "counts bias once a call", "linear", 5, 1)]


@pytest.mark.parametrize(
    ("op", "what"),
    [
        ("relu", "activations"),
        ("batch_norm", "norms"),
        ("max_pool2d", "pools"),
        ("softmax", "softmax"),
        ("add", "elementwise"),
        ("upsample_bilinear2d", "interpolation"),
        ("embedding", "embeddings"),
        ("strange", "other"),
    ],
)
def test_operators_without_macs_are_a_convention(op, what):
    explanation = explained([CONV, RELU], [("conv", "conv2d", CONV.macs), ("relu", op, 40), ("elsewhere", op, 2)])
    assert causes(explanation) == [("convention", f"counts {what}", op, 42, 2)]
    assert explanation.unexplained == 0


def test_an_operator_without_a_peer_figure_is_skipped():
    explanation = explained([CONV, ATTENTION, RELU], [("conv", "conv2d", CONV.macs)])
    assert causes(explanation) == [("skipped", "skipped", "scaled_dot_product_attention", -2 * 4 * 6 * 9 * 16, 1)]


def test_a_module_may_have_skipped_and_counted_operators():
    linear = LINEAR.replace(path="attn")
    explanation = explained([linear, ATTENTION], [("attn", "addmm", 2 * linear.macs)], FLOPS)
    assert causes(explanation) == [("skipped", "skipped", "scaled_dot_product_attention", -ATTENTION.macs, 1)]


def test_some_calls_of_an_operator_may_be_skipped():
    calls = [row("m", "matmul", 30, call=1), row("m", "matmul", 70, call=2)]
    explanation = explained(calls, [("m", "matmul", 30)])
    assert causes(explanation) == [("skipped", "skipped", "matmul", -70, 1)]


def test_the_same_work_under_other_operators_is_no_difference():
    products = [("attn", "bmm", 2 * 4 * 6 * 9 * 8), ("attn", "baddbmm", 2 * 4 * 6 * 9 * 8)]
    assert causes(explained([ATTENTION], products)) == []


def test_a_module_counted_as_a_whole_includes_softmax_scaling_and_bias():
    """As ptflops counts nn.MultiheadAttention: its figure stands at the module, our rows partly below it."""
    below = LINEAR.replace(path="attn.out_proj")
    figure = ATTENTION.macs + below.macs + 2 * 4 * 6 * 9 + 2 * 4 * 6 * 8 + 2 * 7 * 5
    explanation = explained([ATTENTION, below], [("attn", "multihead_attention", figure)])
    assert sorted(causes(explanation)) == [
        ("convention", "counts bias", "linear", 2 * 7 * 5, 1),
        ("convention", "counts scaling", "scaled_dot_product_attention", 2 * 4 * 6 * 8, 1),
        ("convention", "counts softmax", "scaled_dot_product_attention", 2 * 4 * 6 * 9, 1),
    ]


def test_an_operator_that_runs_a_whole_layer_is_compared_with_its_children():
    """As torch's fused encoder layer shows in the profiler: matrix products without a module."""
    inner = [ATTENTION.replace(path="layer.attn"), LINEAR.replace(path="layer.fc")]
    explanation = explained(inner, [("layer", "bmm", ATTENTION.macs)])
    assert causes(explanation) == [("skipped", "skipped", "linear", -LINEAR.macs, 1)]


# Two layers, both ways, 4 features and 6 hidden units, 3 samples of 5 steps.
LSTM_MATRICES = 2 * (4 * 6 * (4 + 6) + 4 * 6 * (12 + 6))
LSTM_BIASES = 2 * 2 * (24 + 24)
LSTM = row(
    "lstm", "lstm", 3 * 5 * LSTM_MATRICES, 3 * 5 * (LSTM_BIASES + 13 * 4 * 6),
    inputs=[(3, 5, 4)], outputs=[(3, 5, 12), (4, 3, 6), (4, 3, 6)], weights=LSTM_MATRICES + LSTM_BIASES,
)  # fmt: skip


@pytest.mark.parametrize(("bias", "gates"), [(0, 0), (1, 0), (1, 10), (1, 7)])
def test_a_recurrent_layer_may_be_counted_with_bias_and_gates(bias, gates):
    figure = LSTM.macs + bias * 15 * LSTM_BIASES + gates * 15 * 4 * 6
    explanation = explained([LSTM], [("lstm", "lstm", figure)])
    wanted = {"counts bias": bias * 15 * LSTM_BIASES, "counts gates": gates * 15 * 4 * 6}
    assert {cause.what: cause.macs for cause in explanation.causes} == {what: n for what, n in wanted.items() if n}


def test_a_transposed_convolution_by_the_output_size():
    """Stride 3 makes 12 x 12 of 4 x 4: multiplying by the output's size gives nine times the MACs."""
    up = row("up", "conv_transpose2d", 8 * 4 * 4 * 5 * 9, inputs=[(1, 8, 4, 4)], outputs=[(1, 5, 12, 12)], weights=360)
    explanation = explained([up], [("up", "conv_transpose2d", 8 * 12 * 12 * 5 * 9)])
    assert causes(explanation) == [("wrong formula", "by the output's side", "conv_transpose2d", 8 * up.macs, 1)]


def test_a_linear_layer_once_per_sample():
    """As torchinfo: parameters times the batch, without the positions."""
    explanation = explained([LINEAR], [("fc", "linear", 2 * (60 + 5))])
    assert causes(explanation) == [
        ("wrong formula", "once a sample", "linear", 2 * 60 - LINEAR.macs, 1),
        ("convention", "counts bias", "linear", 2 * 5, 1),
    ]


def test_a_linear_layer_mistaken_for_a_convolution():
    """As torchinfo takes a class with Conv in its name: its features as positions."""
    explanation = explained([LINEAR], [("fc", "", 2 * 5 * (60 + 5))])
    assert {cause.what for cause in explanation.causes} == {"by a convolution's axes", "counts bias"}


def test_positions_may_be_folded_into_the_batch():
    """As in GPT-2: the operator has 14 rows, which are 2 samples of 7 positions."""
    folded = LINEAR.replace(inputs=((14, 12),), outputs=((14, 5),))
    result = PeerResult(MACS.name, "ok", total=2 * 5 * 65, rows=(PeerRow("fc", "", 2 * 5 * 65),))
    explanation = explain(result, MACS, [folded], batch=2)
    assert {cause.what for cause in explanation.causes} == {"by a convolution's axes", "counts bias"}
    assert explanation.unexplained == 0


@pytest.mark.parametrize(("figure", "what"), [(8 * 4, "leaves 4 groups out"), (2, "divides by 4 groups twice")])
def test_groups_left_out_or_divided_by_twice(figure, what):
    """1x1, 4 to 4 channels in 4 groups: 8 positions cost 4 each."""
    grouped = row("g", "conv1d", 4 * 2, inputs=[(1, 4, 2)], outputs=[(1, 4, 2)], weights=4)
    explanation = explained([grouped], [("g", "conv1d", figure)])
    assert causes(explanation) == [("wrong formula", what, "conv1d", figure - 8, 1)]


def test_a_mac_counted_as_two():
    explanation = explained([LINEAR], [("fc", "linear", 2 * LINEAR.macs)])
    assert causes(explanation) == [("convention", "counts a multiply-add as 2", "linear", LINEAR.macs, 1)]


@pytest.mark.parametrize(
    ("calls", "repeats"),
    [
        ([LINEAR, LINEAR.replace(call=2, weights=0, biases=0, params=0)], 2),  # Both calls, under each of two parents.
        ([LINEAR], 3),  # As thop: two hooks on one layer, and the sum goes through both parents: four times.
    ],
)
def test_a_shared_module_is_counted_under_each_of_its_parents(calls, repeats):
    explanation = explained(calls, [("fc", "linear", 2 * LINEAR.macs, f"{parent}.fc") for parent in "ab"])
    assert [(cause.cause, cause.macs) for cause in explanation.causes] == [("counted twice", repeats * LINEAR.macs)]


def test_an_activation_counted_by_hook_and_by_function():
    explanation = explained([RELU], [("relu", "relu", 3200, "relu"), ("relu", "relu", 3200, "function")])
    assert sorted(causes(explanation)) == [
        ("convention", "counts activations", "relu", 3200, 1),
        ("counted twice", "counted twice", "relu", 3200, 1),
    ]


def test_one_sample_of_the_batch():
    explanation = explained([CONV], [("conv", "conv2d", CONV.macs), ("", BATCH, -CONV.macs // 2)])
    assert causes(explanation) == [("convention", "counts one sample", BATCH, -CONV.macs // 2, 1)]


def test_a_figure_without_a_hypothesis_is_unexplained_and_its_module_named():
    explanation = explained([CONV, LINEAR], [("conv", "conv2d", CONV.macs + 7), ("fc", "linear", LINEAR.macs)])
    assert (explanation.causes, explanation.unexplained) == ((), 7)
    assert [(module.path, module.op, module.macs) for module in explanation.unexplained_modules] == [
        ("conv", "conv2d", 7)
    ]


def test_an_unexplained_operator_does_not_hide_causes_of_its_module():
    linear = LINEAR.replace(path="conv")
    explanation = explained(
        [CONV, linear], [("conv", "conv2d", CONV.macs + 7), ("conv", "linear", linear.macs + 2 * 7 * 5)]
    )
    assert causes(explanation) == [("convention", "counts bias", "linear", 2 * 7 * 5, 1)]
    assert explanation.unexplained == 7


def test_an_unexplained_operator_family_is_a_single_difference():
    """Not two causes of the operator's whole size: skipped by the peer, and counted by the peer only."""
    explanation = explained([ATTENTION], [("attn", "bmm", ATTENTION.macs - 1)])
    assert (explanation.causes, explanation.unexplained) == ((), -1)


@pytest.mark.parametrize(("ghost", "beyond_rows"), [(5, 0), (0, 11)])
def test_unknown_modules_and_a_total_beyond_its_rows_are_unexplained(ghost, beyond_rows):
    rows = [("conv", "conv2d", CONV.macs), ("ghost", "linear", ghost)]
    explanation = explained([CONV], rows, total=CONV.macs + ghost + beyond_rows)
    assert (explanation.causes, explanation.unexplained) == ((), ghost + beyond_rows)


def test_a_failed_peer_has_no_difference():
    explanation = explain(PeerResult("a peer", "failed", "crashed"), MACS, [CONV])
    assert (explanation.difference, explanation.causes, explanation.result.reason) == (0, (), "crashed")


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        ("aten::addmm", "matrix products"),
        ("mkldnn_convolution", "convolutions"),
        ("_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("gru_cell", "recurrent cells"),
        ("relu_", "activations"),
        ("local_response_norm", "norms"),
        ("log_softmax", "softmax"),
        ("bilinear", "matrix products"),
        ("", "other"),
    ],
)
def test_families(op, kind):
    assert family(op) == kind


def test_every_peer_states_its_convention():
    assert all(peer.convention and peer.per_mac in (1, 2) for peer in PEERS.values())
