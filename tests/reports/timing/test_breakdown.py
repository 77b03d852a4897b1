"""The breakdown of one pass: rows can be told apart, unresolved operators have no time, counts are complete."""

from __future__ import annotations

import re

import pytest

from analyzer.records.record import Record
from analyzer.records.rows import Count
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.machine.roofline import Ceilings, Level
from reports.timing.breakdown import groups_by_kind, kinds, modules
from reports.timing.pass_tables import tables
from reports.timing.profile import kernels, replays
from tests.reports.timing.operators import names, overhead, record, row, texts, timing

TRAINING = record(
    [row("conv", "conv2d", 10**6), row("inception_3a.branch_pool.project", "conv2d", 10**9)],
    timing("conv", "conv2d", 0.0004), timing("inception_3a.branch_pool.project", "conv2d", 0.020),
    timing("", "scaled_dot_product_attention", 0.001), overhead(0.0002),
    timing("", "scaled_dot_product_attention", 0.003, phase="backward"), overhead(0.0003, "backward"),
    mode="training",
)  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120])
def test_rows_of_one_function_in_two_phases_can_be_told_apart(printed, columns):
    lines = printed(tables([TRAINING], 1), columns)
    assert max(map(len, lines)) <= columns
    assert any("product_attention, forward" in line for line in lines)
    assert any("product_attention, backward" in line for line in lines)


@pytest.mark.parametrize(
    ("published", "conv", "inception"),
    [(False, "0.5 % compute", "10.0 % compute"), (True, "2.000 µs 2.000 µs compute", "2.000 ms 2.000 ms compute")],
)
def test_the_roofline_fits_in_80_columns(printed, published, conv, inception):
    """2 MFLOP in 0.4 ms and 2 GFLOP in 20 ms, where 1 TFLOP/s allows 2 µs and 2 ms; linear layers are direct."""
    forward = (timing for timing in TRAINING.measurement.timings if timing.phase == "forward")
    ceilings = Ceilings(1e12, (Level("memory", float("inf"), 1e15),), "a device", published)
    rows = [row.replace(op="linear") for row in TRAINING.rows] if published else TRAINING.rows
    lines = printed(tables([record(rows, *forward)], 1, lambda record: ceilings))
    assert max(map(len, lines)) <= 80
    for name, text in (("conv ", conv), ("inception", inception)):
        assert [line.endswith(text) for line in lines if line.startswith(name)] == [True]


def test_each_phase_of_a_training_step_has_its_own_work():
    """1 M MACs forward in 1 ms and 2 M backward in 4 ms: 2 and 1 GFLOP/s; 6 M FLOPs in 5 ms are 1.2."""
    step = record(
        [row("", "conv2d", 10**6).replace(backward_macs=2 * 10**6)],
        timing("", "conv2d", 0.001), timing("", "conv2d", 0.004, phase="backward"), mode="training",
    )  # fmt: skip
    rows = texts(modules(step, 1, None))
    forward, backward = rows["(top level) conv2d, forward"], rows["(top level) conv2d, backward"]
    assert (forward[0], forward[1], forward[-1]) == ("1.000 M", "100 %", "2")
    assert (backward[0], backward[1], backward[-1]) == ("-", "-", "1")
    assert (rows["total"][0], rows["total"][-1]) == ("1.000 M", "1.2")


def test_children_of_the_same_name_are_separate_rows():
    """Blocks a and b with a child c each, and 3 ms in the forward of a itself."""
    blocks = record(
        [row("a", "cat", 0), row("a.c", "conv2d", 10**6), row("b.c", "conv2d", 3 * 10**6)],
        timing("a", "cat", 0.003), timing("a.c", "conv2d", 0.001), timing("b.c", "conv2d", 0.002),
    )  # fmt: skip
    table = modules(blocks, 2, None)
    assert names(table) == ["a", "(own forward)", "c", "b", "c", "total"]
    assert [cells[3] for cells in table.rows] == [f"{ms}.000 ms" for ms in (4, 3, 1, 2, 2, 6)]


def test_modules_may_be_named_like_the_tables_own_rows():
    named = [row(name, "conv2d", 100) for name in ("total", "(overhead)")]
    parts = record(named, *(timing(module.path, "conv2d", 0.001) for module in named), overhead(0.0002))
    table = modules(parts, 1, None)
    assert names(table) == ["total", "(overhead)", "(overhead)", "total"]
    assert [cells[3] for cells in table.rows] == ["1.000 ms", "1.000 ms", "200.0 µs", "2.200 ms"]


def test_unresolved_operators_have_no_time_and_are_sorted_by_name():
    times_s = {"c": 40e-6, "a": 10e-6, "b": 49e-6}
    short = record(
        [row("long", "conv2d", 10)],
        timing("long", "conv2d", 0.001),
        *(timing(name, f"op_{name}", seconds) for name, seconds in times_s.items()),
    )
    rows = texts(kinds(short, None))
    assert list(rows) == ["conv2d", "op_a", "op_b", "op_c"]
    assert {rows[f"op_{name}"][2:] for name in times_s} == {("< 50 µs", "-", "-", "-")}
    assert rows["conv2d"][4] == "91.0 %"


def test_a_timed_function_of_several_rows_has_the_counts_of_all():
    """Attention is called once and counted as three products under other names."""
    attention = record(
        [row("attention", "addmm", 100), row("attention", "bmm", 30, 1), row("attention", "bmm", 40, 2),
         row("attention.out", "linear", 7)],
        timing("attention", "transpose", 10e-6), timing("attention", "multi_head_attention_forward", 0.001),
        timing("attention.out", "linear", 0.001),
    )  # fmt: skip
    groups = groups_by_kind(attention)
    assert groups["multi_head_attention_forward"].macs == 100 + 30 + 40
    assert groups["linear"].macs == 7
    assert sum(group.macs for group in groups.values()) == attention.totals.macs
    assert texts(modules(attention, 1, None))["attention"][0] == "177"


def test_the_least_certain_modules_of_a_trusted_pass_are_named():
    """Sixteen processes of 10 ms that alternate between two splits: modules a to g take 1.0 ms in one and 1.1 to 1.7 ms
    in the other, the rest 3.0 and 0.2 ms. All eight are noisy; the five that differ most are named."""
    samples = {name: (1e-3, 1e-3 + 1e-4 * number) * 8 for number, name in enumerate("abcdefg", start=1)}
    samples["rest"] = tuple(10e-3 - sum(times[index] for times in samples.values()) for index in range(16))
    processes = (1,) * 16
    timings = [Timing("", "", 1, "pass", "pass", (0.01,) * 16, "trusted", "", processes)]
    timings += [
        Timing(name, "conv2d", 1, "operator", "forward", times, "trusted", "", processes)
        for name, times in samples.items()
    ]
    counted = Record("a model", ((1, 4),), "inference", Count("dispatch", tuple(row(n, "conv2d", 1) for n in samples)))
    trusted = Measurement(Configuration(), tuple(timings))
    (note,) = modules(counted.replace(measurement=trusted), 1, None).notes
    listed = re.findall(r"(\w+) \(± \d+ %\)", note)
    assert listed == ["rest", "g", "f", "e", "d"]
    assert "3 more" in note
    assert modules(counted.replace(measurement=trusted.replace(quality="noisy")), 1, None).notes == ()


def test_replays_are_sorted_by_time_and_unresolved_ones_have_none():
    replayed = record(
        [], timing("a", "relu", 0.0002),
        timing("a", "relu", 20e-6, "replay"), timing("a", "relu", 0.0003, "replay_cold"),
        timing("b", "relu", 0.0004, "replay"), timing("b", "relu", 0.0005, "replay_cold"),
    )  # fmt: skip
    assert texts(replays(replayed)[0]) == {
        "b": ("-", "400.0 µs", "500.0 µs"),
        "a": ("200.0 µs", "< 50 µs", "300.0 µs"),
    }
    assert replays(TRAINING) == []


def test_kernels_are_summed_per_module():
    profiled = record(
        [],
        timing("a.b", "mm", 0.001, "kernel"),
        timing("a.c", "mm", 0.002, "kernel"),
        timing("", "add", 0.001, "kernel"),
    )
    assert texts(kernels(profiled, 1)[0]) == {
        "mm": ("a", "2", "3.000 ms", "75.0 %"),
        "add": ("(top level)", "1", "1.000 ms", "25.0 %"),
    }
    assert kernels(TRAINING, 1) == []


def test_python_in_a_module_is_its_own_row():
    """`block.slow` has no operator and takes 9 of 10 ms; `block` itself 0.5 ms; `quick` too little to be shown."""
    slow = record(
        [row("conv", "conv2d", 10**6)],
        timing("conv", "conv2d", 0.0003),
        overhead(0.0002), timing("block.slow", "overhead", 0.009, "overhead"),
        timing("block", "overhead", 0.0005, "overhead"), timing("quick", "overhead", 1e-6, "overhead"),
    )  # fmt: skip
    assert names(modules(slow, 1, None)) == ["conv", "block", "(overhead)", "total"]
    table = modules(slow, 2, None)
    assert names(table) == ["conv", "block", "(own forward)", "slow", "(overhead)", "total"]
    rows = texts(table)
    assert [rows[name][2] for name in ("block", "(own forward)", "slow", "(overhead)")] == [
        "9.500 ms", "500.0 µs", "9.000 ms", "200.0 µs",
    ]  # fmt: skip


def test_a_fused_module_has_the_counts_of_its_children():
    fused = record(
        [row(path, "linear", 10**6) for path in ("layer.linear1", "layer.attention.q", "head")],
        timing("layer", "transformer_encoder_layer", 0.002), timing("head", "linear", 0.001),
    )  # fmt: skip
    by_kind = groups_by_kind(fused)
    assert {kind: part.macs for kind, part in by_kind.items()} == {
        "transformer_encoder_layer": 2 * 10**6, "linear": 10**6,
    }  # fmt: skip
