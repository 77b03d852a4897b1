"""The tables of one timed measurement: nothing is cut off that tells two rows apart, what is too short for the clock has no
figure and no rank, and a part of several rows has their counts."""

from __future__ import annotations

import io
import re

import pytest

import analyzer
from analyzer.records.record import Count, Record
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.machine.roofline import Ceilings, Level
from reports.formats.terminal import console, show
from reports.table import Name, Share
from reports.timing.parts import by_kind, modules, operators
from reports.timing.passes import beside, tables
from reports.timing.profile import replays


def row(path, op, macs, call=1):
    count = analyzer.count("nin").rows[0]
    return count.replace(path=path, role=path, op=op, call=call, macs=macs, flops=2 * macs)


def timing(path, op, seconds, kind="tile", phase="forward", call=1):
    return Timing(path, op, call, kind, phase, (seconds,) * 4, "trusted", "", (4,))


def record(rows, *timings, mode="inference"):
    whole = timing("", "", sum(one.median_s for one in timings if one.kind in ("tile", "gap")), "whole", "pass")
    counted = Record("a model", ((1, 4),), mode, Count("dispatch", tuple(rows)))
    return counted.replace(measurement=Measurement(Configuration(mode=mode), (whole, *timings)))


def page(found, monkeypatch, columns=80):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = io.StringIO()
    show(found, console(text))
    return text.getvalue()


def measurements(table):
    return {line[0].text: line[1:] for line in table.rows if isinstance(line[0], Name)}


LONG = record(
    [row("conv", "conv2d", 10**6), row("inception_3a.branch_pool.project", "conv2d", 10**9)],
    timing("conv", "conv2d", 0.0004), timing("inception_3a.branch_pool.project", "conv2d", 0.020),
    timing("", "scaled_dot_product_attention", 0.001), timing("", "gap", 0.0002, "gap"),
    timing("", "scaled_dot_product_attention", 0.003, phase="backward"), timing("", "gap", 0.0003, "gap", "backward"),
    mode="training",
)  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_two_rows_of_one_function_can_be_told_apart(monkeypatch, columns):
    text = page(tables([LONG], 1), monkeypatch, columns)
    assert max(map(len, text.splitlines())) <= columns
    assert "product_attention, forward" in text
    assert "product_attention, backward" in text


def test_what_bounds_a_part_is_not_cut_off_at_80_columns(monkeypatch):
    """2 MFLOP in 0.4 ms of a peak of 1 TFLOP/s: 0.5 %; 2 GFLOP in 20 ms: 10 %. Of another machine: 2 us and 2 ms."""
    inference = record(LONG.rows, *(one for one in LONG.measurement.timings if one.phase == "forward"))
    here = Ceilings(1e12, (Level("memory", float("inf"), 1e15),), "here")
    for ceilings, first, second in (
        (here, "0.5 % compute", "10.0 % compute"),
        (here.replace(published=True), "2.000 µs compute", "2.000 ms compute"),
    ):
        lines = page(tables([inference], 1, lambda record, given=ceilings: given), monkeypatch).splitlines()
        assert max(map(len, lines)) <= 80
        (conv,) = [line for line in lines if line.startswith("conv ")]
        (inception,) = [line for line in lines if line.startswith("inception")]
        assert conv.endswith(first)
        assert inception.endswith(second)


def test_a_step_of_training_gives_each_phase_its_own_work():
    """1 M multiply-adds forward in 1 ms, 2 M backward in 4 ms: 2 and 1 GFLOP/s, and 6 M FLOPs in 5 ms are 1.2."""
    called = row("", "conv2d", 10**6).replace(backward_macs=2 * 10**6)
    made = record(
        [called],
        timing("", "conv2d", 0.001),
        timing("", "conv2d", 0.004, phase="backward"),
        mode="training",
    )
    found = measurements(modules(made, 1, None))
    assert found["(top level) conv2d, forward"][0:2] == ("1.000 M", "100 %")
    assert found["(top level) conv2d, forward"][-1] == "2"
    assert found["(top level) conv2d, backward"][0:2] == ("-", "-")
    assert found["(top level) conv2d, backward"][-1] == "1"
    assert (found["total"][0], found["total"][-1]) == ("1.000 M", "1.2")


def at(batch, seconds, layout="contiguous"):
    made = record([row("a", "conv2d", batch * 10**6)], timing("a", "conv2d", seconds), timing("", "gap", 0.0002, "gap"))
    return made.replace(measurement=made.measurement.replace(configuration=Configuration(batch=batch, layout=layout)))


def test_one_model_at_several_settings_has_each_modules_times_side_by_side(monkeypatch):
    """Four configurations in two tables of two, rather than of three and one; the share of MACs is that of any batch."""
    four = [at(1, 0.001), at(1, 0.002, "channels_last"), at(8, 0.003), at(8, 0.004, "channels_last")]
    first, second = beside(four, 1)
    assert [column.title for column in first.columns[2:]] == ["batch 1, contiguous", "batch 1, channels_last"]
    assert measurements(first)["a"] == ("100 %", "1.000 ms", "2.000 ms")
    assert measurements(second)["a"] == ("100 %", "3.000 ms", "4.000 ms")
    assert measurements(first)["total"] == ("100 %", "1.200 ms", "2.200 ms")
    assert measurements(first)["(gap)"] == ("-", "200.0 µs", "200.0 µs")
    lines = page(tables(four, 1), monkeypatch).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("a model: time by module") for line in lines) == 2
    assert sum("quality" in line for line in lines[:2]) == 1  # Whatever is left out for want of room.
    others = [one.replace(model="another") for one in four]
    assert not any("time by module" in table.title for table in tables([*four, *others], 1))


def test_children_of_one_name_are_not_taken_for_each_other():
    """Two blocks with a child `c` each, and 3 ms of what the first block's own forward runs."""
    made = record(
        [row("a", "cat", 0), row("a.c", "conv2d", 10**6), row("b.c", "conv2d", 3 * 10**6)],
        timing("a", "cat", 0.003), timing("a.c", "conv2d", 0.001), timing("b.c", "conv2d", 0.002),
    )  # fmt: skip
    assert [(line[0].text, line[3]) for line in modules(made, 2, None).rows] == [
        ("a", "4.000 ms"),
        ("(own forward)", "3.000 ms"),
        ("c", "1.000 ms"),
        ("b", "2.000 ms"),
        ("c", "2.000 ms"),
        ("total", "6.000 ms"),
    ]
    (table,) = beside([made, made], 2)
    assert [line[2:] for line in table.rows] == [(line[3], line[3]) for line in modules(made, 2, None).rows]


def test_modules_on_which_processes_disagree_are_named_where_the_pass_is_trusted():
    """Sixteen processes of one pass of 10 ms, in turn of two kinds: modules `a` to `g` take 1.0 ms in one and from
    1.1 to 1.7 in the other, and `rest` 3.0 and 0.2. All eight are known to no better than 3 %, and five are named,
    those that differ most first."""
    names, other = "abcdefg", {name: 1e-3 + 1e-4 * (at + 1) for at, name in enumerate("abcdefg")}
    samples = {name: (1e-3, other[name]) * 8 for name in names}
    samples["rest"] = tuple(10e-3 - sum(samples[name][at] for name in names) for at in range(16))
    parts = [
        Timing(name, "conv2d", 1, "tile", "forward", some, "trusted", "", (1,) * 16) for name, some in samples.items()
    ]
    whole = Timing("", "", 1, "whole", "pass", (0.01,) * 16, "trusted", "", (1,) * 16)
    rows = tuple(row(name, "conv2d", 100) for name in samples)
    made = Record("a model", ((1, 4),), "inference", Count("dispatch", rows))
    timed = made.replace(measurement=Measurement(Configuration(), (whole, *parts)))
    (note,) = modules(timed, 1, None).notes
    named = r"rest \(± \d\d %\), g \(± \d\d %\), f \(± \d\d %\), e \(± \d\d %\), d \(± \d\d? %\) and 3 more"
    assert re.fullmatch(f"Noisy, another run may well say otherwise: {named}\\.", note)
    noisy = timed.replace(measurement=timed.measurement.replace(quality="noisy"))
    assert modules(noisy, 1, None).notes == ()  # All of it is.


def test_one_cell_that_was_timed_beside_one_that_failed_is_shown_whole():
    failed = at(1, 0.001).replace(
        model="another", measurement=Measurement(Configuration(batch=1), (), "void", "no memory", "failed")
    )
    titles = [table.title for table in tables([at(1, 0.001), failed], 1)]
    assert "a model: batch 1, 1 thread, trusted" in titles
    assert "By kind of operator" in titles


def test_modules_are_called_what_they_are_called():
    """Also as rows of the table's own are."""
    named = [row(name, "conv2d", 100) for name in ("total", "forward gap", "(gap)")]
    made = record(named, *(timing(one.path, "conv2d", 0.001) for one in named), timing("", "gap", 0.0002, "gap"))
    names = ["total", "forward gap", "(gap)", "(gap)", "total"]
    assert [line[0].text for line in modules(made, 1, None).rows] == names
    (table,) = beside([made, made], 1)
    assert [line[0].text for line in table.rows] == names
    assert [line[2] for line in table.rows] == [*["1.000 ms"] * 3, "200.0 µs", "3.200 ms"]


def test_a_part_too_short_for_the_clock_has_no_figure_and_no_rank():
    short = [timing(name, f"op_{name}", seconds) for name, seconds in (("c", 40e-6), ("a", 10e-6), ("b", 49e-6))]
    made = record([row("long", "conv2d", 10)], timing("long", "conv2d", 0.001), *short)
    found = measurements(operators(made, None))
    assert list(found) == ["conv2d", "op_a", "op_b", "op_c"]  # By name, and not by how long they seem to be.
    for name in ("op_a", "op_b", "op_c"):
        assert found[name][2:] == ("< 50 µs", "-", "-", "-")
    assert isinstance(found["conv2d"][4], Share)


def test_a_replay_too_short_for_the_clock_has_none_either():
    made = record(
        [], timing("a", "relu", 0.0002),
        timing("a", "relu", 20e-6, "replay"), timing("a", "relu", 0.0003, "replay_cold"),
        timing("b", "relu", 0.0004, "replay"), timing("b", "relu", 0.0005, "replay_cold"),
    )  # fmt: skip
    assert measurements(replays(made)[0]) == {
        "b": ("-", "400.0 µs", "500.0 µs"),
        "a": ("200.0 µs", "< 50 µs", "300.0 µs"),
    }


def test_a_part_of_several_rows_has_their_counts():
    """Attention is one call of a function, and three products: each has a row, and none has the function's name."""
    rows = [row("attention", "addmm", 100), row("attention", "bmm", 30, 1), row("attention", "bmm", 40, 2)]
    made = record(
        [*rows, row("attention.out", "linear", 7)], timing("attention", "transpose", 10e-6),
        timing("attention", "multi_head_attention_forward", 0.001), timing("attention.out", "linear", 0.001),
    )  # fmt: skip
    kinds = by_kind(made)
    assert kinds["multi_head_attention_forward"].macs == 100 + 30 + 40
    assert kinds["linear"].macs == 7
    assert sum(one.macs for one in kinds.values()) == made.totals.macs
    assert measurements(modules(made, 1, None))["attention"][0] == "177"


def test_what_a_device_needs_alone_stands_beside_the_pass_and_its_parts_have_its_verdict(monkeypatch):
    """A pass of 4 ms as it is issued, noisy, of which the device works 1.000 ms; its parts come to 0.990 ms."""
    made = record(
        [row("a", "conv2d", 10_000_000_000)],
        timing("", "", 1e-3, "device", "pass"),
        timing("a", "conv2d", 0.98e-3),
        timing("", "gap", 0.01e-3, "gap"),
    )
    whole = Timing("", "", 1, "whole", "pass", (4e-3,) * 4, "noisy", "± 9 %", (4,))
    measurement = made.measurement.replace(
        configuration=Configuration(device="cuda"),
        timings=(whole, *made.measurement.timings[1:]),
        quality="noisy",
        reason="± 9 %",
    )
    made = made.replace(measurement=measurement)
    times, sums, parts, _ = tables([made], 1)
    assert times.rows[0][3:6] == ("4.000 ms", "0.0 %", "noisy")
    assert [column.title for column in sums.columns][2:5] == ["device", "busy", "parts"]
    assert sums.rows[0][2:6] == ("1.000 ms", "25.0 %", "99.0 %", "1.0 %")
    assert sums.rows[0][-1] == "trusted"
    assert parts.title == "a model: batch 1, 1 thread, cuda, trusted"
    assert parts.rows[0][6] == "20,408"  # 20 GFLOP in 0.98 ms; a device's figures are large.
    text = page([times, sums], monkeypatch)
    assert "Device: the un-instrumented pass on a device that waits" in text
    assert "Fixed work" not in text  # A GPU has none.
