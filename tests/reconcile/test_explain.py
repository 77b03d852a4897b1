"""Each cause of a difference on rows written by hand, and what no cause explains."""

from __future__ import annotations

import pytest

from analyzer.reconcile.explain import Explanation, explain
from analyzer.reconcile.families import BATCH, family
from analyzer.reconcile.opinion import PEERS, Opinion, Peer, PeerRow
from analyzer.records.record import Row

MACS = Peer("a peer", "a", 1, "MACs")
FLOPS = Peer("a peer", "a", 2, "FLOPs, a multiply-add is 2")


def row(
    path: str, op: str, macs: int, extra: int = 0, *, inputs=(), outputs=((1, 1),), weights=0, biases=0, call=1
) -> Row:
    """One of our rows; `extra`: its operations that are no multiply-adds."""
    return Row(
        path=path,
        role=path,
        op=op,
        call=call,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        params=weights + biases,
        weights=weights,
        biases=biases,
        macs=macs,
        flops=2 * macs + extra,
        activations=0,
        bytes_read=0,
        bytes_written=0,
    )


def explained(ours: list[Row], theirs: list[tuple], peer: Peer = MACS, total: int | None = None) -> Explanation:
    """A peer's rows against ours; its total is their sum unless said otherwise."""
    rows = tuple(PeerRow(*values) for values in theirs)
    said = sum(one.figure for one in rows) if total is None else total
    found = explain(Opinion(peer.name, "ok", total=said, rows=rows), peer, ours)
    # Whatever is found, it adds up.
    assert sum(cause.macs for cause in found.causes) + found.unexplained == found.difference
    assert found.difference == found.macs - sum(one.macs for one in ours)
    return found


def causes(found: Explanation) -> list[tuple]:
    return [(cause.cause, cause.what, cause.op, cause.macs, cause.rows) for cause in found.causes]


# A 3x3 convolution of 8 to 16 channels on a batch of 2, 10 x 10 positions, with bias.
CONV = row(
    "conv",
    "conv2d",
    2 * 16 * 10 * 10 * 8 * 9,
    2 * 16 * 10 * 10,
    inputs=[(2, 8, 10, 10)],
    outputs=[(2, 16, 10, 10)],
    weights=16 * 8 * 9,
    biases=16,
)
RELU = row("relu", "relu", 0, 2 * 16 * 10 * 10, outputs=[(2, 16, 10, 10)])
# Positions 7 of 2 samples, 12 features to 5.
LINEAR = row("fc", "linear", 2 * 7 * 12 * 5, 2 * 7 * 5, inputs=[(2, 7, 12)], outputs=[(2, 7, 5)], weights=60, biases=5)
# 4 heads, 6 queries on 9 keys, width 8.
ATTENTION = row(
    "attn",
    "scaled_dot_product_attention",
    2 * 4 * 6 * 9 * (8 + 8),
    6 * 2 * 4 * 6 * 9,
    inputs=[(2, 4, 6, 8), (2, 4, 9, 8), (2, 4, 9, 8)],
    outputs=[(2, 4, 6, 8)],
)


def test_equal_figures_have_no_cause():
    found = explained([CONV, RELU], [("conv", "_convolution", CONV.macs)])
    assert (found.difference, found.causes, found.unexplained) == (0, (), 0)


def test_flops_are_put_in_macs_by_the_peers_own_convention():
    found = explained([CONV], [("conv", "convolution", 2 * CONV.macs)], FLOPS)
    assert (found.macs, found.difference, found.causes) == (CONV.macs, 0, ())


def test_an_odd_number_of_flops_ends_in_a_half():
    found = explained([CONV], [("conv", "convolution", 2 * CONV.macs), ("conv", "add", 3)], FLOPS)
    assert causes(found) == [("convention", "counts elementwise", "add", 1.5, 1)]
    assert (found.difference, found.unexplained) == (1.5, 0)


def test_a_bias_is_one_operation_an_output_element():
    found = explained([CONV], [("conv", "conv2d", CONV.macs + 2 * 16 * 10 * 10)])
    assert causes(found) == [("convention", "counts bias", "conv2d", 2 * 16 * 10 * 10, 1)]


def test_a_bias_may_be_counted_once_a_call():
    found = explained([LINEAR], [("fc", "addmm", LINEAR.macs + 5)])
    assert causes(found) == [("convention", "counts bias once a call", "linear", 5, 1)]


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
def test_what_is_no_multiply_add_is_a_convention_by_operator(op, what):
    found = explained([CONV, RELU], [("conv", "conv2d", CONV.macs), ("relu", op, 40), ("elsewhere", op, 2)])
    assert causes(found) == [("convention", f"counts {what}", op, 42, 2)]
    assert found.unexplained == 0


def test_what_the_peer_has_no_figure_for_is_skipped():
    found = explained([CONV, ATTENTION, RELU], [("conv", "conv2d", CONV.macs)])
    assert causes(found) == [("skipped", "skipped", "scaled_dot_product_attention", -2 * 4 * 6 * 9 * 16, 1)]


def test_skipped_and_counted_operators_of_one_module_are_told_apart():
    linear = LINEAR.replace(path="attn")
    found = explained([linear, ATTENTION], [("attn", "addmm", 2 * linear.macs)], FLOPS)
    assert causes(found) == [("skipped", "skipped", "scaled_dot_product_attention", -ATTENTION.macs, 1)]


def test_some_calls_of_an_operator_may_be_skipped():
    calls = [row("m", "matmul", 30, call=1), row("m", "matmul", 70, call=2)]
    found = explained(calls, [("m", "matmul", 30)])
    assert causes(found) == [("skipped", "skipped", "matmul", -70, 1)]


def test_the_same_work_under_other_operators_is_no_difference():
    products = [("attn", "bmm", 2 * 4 * 6 * 9 * 8), ("attn", "baddbmm", 2 * 4 * 6 * 9 * 8)]
    assert causes(explained([ATTENTION], products)) == []


def test_a_module_taken_whole_counts_softmax_scaling_and_bias():
    """As ptflops counts nn.MultiheadAttention: its figure stands at the module, our rows partly below it."""
    below = LINEAR.replace(path="attn.out_proj")
    figure = ATTENTION.macs + below.macs + 2 * 4 * 6 * 9 + 2 * 4 * 6 * 8 + 2 * 7 * 5
    found = explained([ATTENTION, below], [("attn", "multihead_attention", figure)])
    assert sorted(causes(found)) == [
        ("convention", "counts bias", "linear", 2 * 7 * 5, 1),
        ("convention", "counts scaling", "scaled_dot_product_attention", 2 * 4 * 6 * 8, 1),
        ("convention", "counts softmax", "scaled_dot_product_attention", 2 * 4 * 6 * 9, 1),
    ]


def test_an_operator_that_runs_a_whole_layer_is_held_against_what_is_below():
    """As torch's fused encoder layer shows in the profiler: products without a module of their own."""
    inner = [ATTENTION.replace(path="layer.attn"), LINEAR.replace(path="layer.fc")]
    found = explained(inner, [("layer", "bmm", ATTENTION.macs)])
    assert causes(found) == [("skipped", "skipped", "linear", -LINEAR.macs, 1)]


# Two layers, both ways, 4 features and 6 hidden units, 3 samples of 5 steps.
LSTM_MATRICES = 2 * (4 * 6 * (4 + 6) + 4 * 6 * (12 + 6))
LSTM_BIASES = 2 * 2 * (24 + 24)
LSTM = row(
    "lstm",
    "lstm",
    3 * 5 * LSTM_MATRICES,
    3 * 5 * (LSTM_BIASES + 13 * 4 * 6),
    inputs=[(3, 5, 4)],
    outputs=[(3, 5, 12), (4, 3, 6), (4, 3, 6)],
    weights=LSTM_MATRICES + LSTM_BIASES,
)


@pytest.mark.parametrize(("bias", "gates"), [(0, 0), (1, 0), (1, 10), (1, 7)])
def test_a_recurrent_layer_may_be_counted_with_bias_and_gates(bias, gates):
    figure = LSTM.macs + bias * 15 * LSTM_BIASES + gates * 15 * 4 * 6
    found = explained([LSTM], [("lstm", "lstm", figure)])
    wanted = {"counts bias": bias * 15 * LSTM_BIASES, "counts gates": gates * 15 * 4 * 6}
    assert {cause.what: cause.macs for cause in found.causes} == {what: n for what, n in wanted.items() if n}


def test_a_transposed_convolution_by_the_wrong_side():
    """Stride 3 makes 12 x 12 of 4 x 4: nine times as much, by who multiplies by the output's size."""
    up = row("up", "conv_transpose2d", 8 * 4 * 4 * 5 * 9, inputs=[(1, 8, 4, 4)], outputs=[(1, 5, 12, 12)], weights=360)
    found = explained([up], [("up", "conv_transpose2d", 8 * 12 * 12 * 5 * 9)])
    assert causes(found) == [("wrong formula", "by the output's side", "conv_transpose2d", 8 * up.macs, 1)]


def test_a_linear_layer_once_a_sample():
    """As torchinfo: parameters times the batch, whatever stands between."""
    found = explained([LINEAR], [("fc", "linear", 2 * (60 + 5))])
    assert causes(found) == [
        ("wrong formula", "once a sample", "linear", 2 * 60 - LINEAR.macs, 1),
        ("convention", "counts bias", "linear", 2 * 5, 1),
    ]


def test_a_linear_layer_taken_for_a_convolution():
    """As torchinfo takes a class with Conv in its name: features in the place of positions."""
    found = explained([LINEAR], [("fc", "", 2 * 5 * (60 + 5))])
    assert {cause.what for cause in found.causes} == {"by a convolution's axes", "counts bias"}


def test_positions_may_be_folded_into_the_batch():
    """As in GPT-2: our operator sees 14 rows, the module 2 samples of 7."""
    folded = LINEAR.replace(inputs=((14, 12),), outputs=((14, 5),))
    said = Opinion(MACS.name, "ok", total=2 * 5 * 65, rows=(PeerRow("fc", "", 2 * 5 * 65),))
    found = explain(said, MACS, [folded], batch=2)
    assert {cause.what for cause in found.causes} == {"by a convolution's axes", "counts bias"}
    assert found.unexplained == 0


@pytest.mark.parametrize(("figure", "what"), [(8 * 4, "leaves 4 groups out"), (2, "divides by 4 groups twice")])
def test_groups_left_out_or_divided_by_twice(figure, what):
    """1x1, 4 to 4 channels in 4 groups: 8 positions cost 4 each."""
    grouped = row("g", "conv1d", 4 * 2, inputs=[(1, 4, 2)], outputs=[(1, 4, 2)], weights=4)
    found = explained([grouped], [("g", "conv1d", figure)])
    assert causes(found) == [("wrong formula", what, "conv1d", figure - 8, 1)]


def test_two_for_a_multiply_add_where_one_is_stated():
    found = explained([LINEAR], [("fc", "linear", 2 * LINEAR.macs)])
    assert causes(found) == [("convention", "counts a multiply-add as 2", "linear", LINEAR.macs, 1)]


def test_a_shared_module_counted_under_each_of_its_parents():
    calls = [LINEAR, LINEAR.replace(call=2, weights=0, biases=0, params=0)]
    found = explained(calls, [("fc", "linear", 2 * LINEAR.macs, "a.fc"), ("fc", "linear", 2 * LINEAR.macs, "b.fc")])
    assert causes(found) == [("counted twice", "counted twice", "linear", 2 * LINEAR.macs, 1)]


def test_a_hook_set_once_for_each_parent():
    """As thop: two hooks on one layer, and the sum goes through both parents: four times."""
    found = explained([LINEAR], [("fc", "linear", 2 * LINEAR.macs, "a.fc"), ("fc", "linear", 2 * LINEAR.macs, "b.fc")])
    assert [(cause.cause, cause.macs) for cause in found.causes] == [("counted twice", 3 * LINEAR.macs)]


def test_an_activation_counted_by_hook_and_by_function():
    found = explained([RELU], [("relu", "relu", 3200, "relu"), ("relu", "relu", 3200, "function")])
    assert sorted(causes(found)) == [
        ("convention", "counts activations", "relu", 3200, 1),
        ("counted twice", "counted twice", "relu", 3200, 1),
    ]


def test_one_sample_of_the_batch():
    found = explained([CONV], [("conv", "conv2d", CONV.macs), ("", BATCH, -CONV.macs // 2)])
    assert causes(found) == [("convention", "counts one sample", BATCH, -CONV.macs // 2, 1)]


def test_what_no_hypothesis_meets_is_unexplained_and_named():
    found = explained([CONV, LINEAR], [("conv", "conv2d", CONV.macs + 7), ("fc", "linear", LINEAR.macs)])
    assert (found.causes, found.unexplained) == ((), 7)
    assert [(unmet.path, unmet.op, unmet.macs) for unmet in found.unmet] == [("conv", "conv2d", 7)]


def test_one_operator_without_explanation_does_not_hide_those_of_its_module():
    linear = LINEAR.replace(path="conv")
    found = explained([CONV, linear], [("conv", "conv2d", CONV.macs + 7), ("conv", "linear", linear.macs + 2 * 7 * 5)])
    assert causes(found) == [("convention", "counts bias", "linear", 2 * 7 * 5, 1)]
    assert found.unexplained == 7


def test_what_stands_under_other_operators_and_is_not_met_is_a_difference_once():
    """Neither skipped on our side and a surprise on theirs, each of the whole size."""
    found = explained([ATTENTION], [("attn", "bmm", ATTENTION.macs - 1)])
    assert (found.causes, found.unexplained) == ((), -1)


def test_products_of_a_module_where_we_have_none_are_unexplained():
    found = explained([CONV], [("conv", "conv2d", CONV.macs), ("ghost", "linear", 5)])
    assert (found.causes, found.unexplained) == ((), 5)


def test_a_total_that_is_not_the_sum_of_its_rows_is_unexplained():
    found = explained([CONV], [("conv", "conv2d", CONV.macs)], total=CONV.macs + 11)
    assert (found.causes, found.unexplained) == ((), 11)


def test_a_peer_that_says_nothing_has_no_difference():
    found = explain(Opinion("a peer", "failed", "crashed"), MACS, [CONV])
    assert (found.difference, found.causes, found.opinion.reason) == (0, (), "crashed")


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
