"""Several records side by side, and the GPU time of a pass."""

from __future__ import annotations

from analyzer.records.timings import Configuration, Measurement, Timing
from reports.table import cell_text
from reports.timing.pass_tables import kind_shares, modules_by_configuration, pass_table, sum_table, tables
from tests.reports.timing.operators import names, overhead, record, row, texts, timing


def at(batch, seconds, layout="contiguous"):
    timed = record([row("a", "conv2d", batch * 10**6)], timing("a", "conv2d", seconds), overhead(0.0002))
    configuration = Configuration(batch=batch, layout=layout)
    return timed.replace(measurement=timed.measurement.replace(configuration=configuration))


FOUR = [at(1, 0.001), at(1, 0.002, "channels_last"), at(8, 0.003), at(8, 0.004, "channels_last")]


def test_four_configurations_make_two_tables_of_two(printed):
    first, second = modules_by_configuration(FOUR, 1)
    assert [column.title for column in first.columns[2:]] == ["batch 1, contiguous", "batch 1, channels_last"]
    assert texts(first)["a"] == ("100 %", "1.000 ms", "2.000 ms")
    assert texts(second)["a"] == ("100 %", "3.000 ms", "4.000 ms")
    assert texts(first)["total"] == ("100 %", "1.200 ms", "2.200 ms")
    assert texts(first)["(overhead)"] == ("-", "200.0 µs", "200.0 µs")
    lines = printed(tables(FOUR, 1))
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("a model: time by module") for line in lines) == 2
    assert sum("quality" in line for line in lines[:14]) == 1  # Not among the columns that a narrow terminal drops.


def test_times_by_module_are_for_one_model_only():
    others = [timed.replace(model="another") for timed in FOUR]
    assert not any("time by module" in table.title for table in tables([*FOUR, *others], 1))


def test_a_module_that_only_one_configuration_has_is_missing_in_the_others():
    other = at(8, 0.003)
    renamed = [timing("b", "conv2d", 0.003), *other.measurement.timings[2:]]
    other = other.replace(measurement=other.measurement.replace(timings=(other.measurement.timings[0], *renamed)))
    other = other.replace(count=other.count.replace(rows=(row("b", "conv2d", 10**6),)))
    (table,) = modules_by_configuration([at(1, 0.001), other], 1)
    assert names(table) == ["a", "(overhead)", "b", "total"]
    assert texts(table)["a"][1:] == ("1.000 ms", "-")
    assert texts(table)["b"][1:] == ("-", "3.000 ms")


def test_throughput_is_relative_to_the_first_timed_record():
    """1 in 1.2 ms, and 8 in 3.2 ms: 833 and 2,500 samples per second, 3 times as many."""
    failed = at(4, 0.001)
    failed = failed.replace(
        measurement=Measurement(failed.measurement.configuration, (), "void", "no memory", "failed")
    )
    rows = [cells[5:8] for cells in pass_table([failed, at(1, 0.001), at(8, 0.003)]).rows]
    assert [tuple(map(str, cells)) for cells in rows] == [
        ("failed", "-", "-"), ("trusted", "1.00×", "833"), ("trusted", "3.00×", "2.50 k")
    ]  # fmt: skip


def test_shares_of_time_by_kind():
    rows = kind_shares([at(1, 0.001), at(8, 0.003)]).rows
    assert [cells[2:] for cells in rows] == [("83.3 %", "16.7 %", "0.0 %"), ("93.8 %", "6.2 %", "0.0 %")]


def test_one_timed_record_is_broken_down_although_another_failed():
    failed = at(1, 0.001).replace(
        model="another", measurement=Measurement(Configuration(batch=1), (), "void", "no memory", "failed")
    )
    titles = [table.title for table in tables([at(1, 0.001), failed], 1)]
    assert "a model: batch 1, 1 thread, trusted" in titles
    assert "By kind of operator" in titles


def test_gpu_time_has_its_own_columns_and_gives_operators_their_quality(printed):
    """A noisy pass of 4 ms, of which the GPU is busy 1.000 ms; operators and overhead are 0.990 ms."""
    gpu = record(
        [row("a", "conv2d", 10_000_000_000)],
        timing("", "", 1e-3, "device", "pass"), timing("a", "conv2d", 0.98e-3), overhead(0.01e-3),
    )  # fmt: skip
    wall = Timing("", "", 1, "pass", "pass", (4e-3,) * 4, "noisy", "± 9 %", (4,))
    timings = (wall, *gpu.measurement.timings[1:])
    measurement = Measurement(Configuration(device="cuda"), timings, "noisy", "± 9 %")
    passes, modules, _, sums = tables([gpu.replace(measurement=measurement)], 1)
    assert passes.rows[0][2:5] == ("4.000 ms", "0.0 %", "noisy")
    assert [column.title for column in sums.columns][1:5] == ["GPU time", "GPU utilization", "sum", "overhead"]
    assert sums.rows[0][1:5] == ("1.000 ms", "25.0 %", "99.0 %", "1.0 %")
    assert sums.rows[0][-1] == "trusted"
    assert modules.title == "a model: batch 1, 1 thread, cuda, trusted"
    assert modules.rows[0][6] == "20,408"  # 20 GFLOP in 0.98 ms.
    text = "\n".join(printed([passes, sums]))
    assert "utilization" in text
    assert "Reference workload" not in text  # A GPU has none.


def test_sum_table_without_operators_has_no_sum():
    compiled = record([row("a", "conv2d", 10)])
    whole = Timing("", "", 1, "pass", "pass", (1e-3,) * 4, "trusted", "", (4,))
    compiled = compiled.replace(measurement=Measurement(Configuration(compiled=True), (whole,)))
    assert sum_table([compiled]).rows[0][1:] == ("-", "-", "4", "1", "trusted")


def test_the_first_lines_say_whether_a_configuration_is_faster():
    """8 in 3.2 ms for 1 in 1.2 ms: three times as many samples per second; equal samples have no spread."""
    failed = at(4, 0.001)
    failed = failed.replace(
        measurement=Measurement(failed.measurement.configuration, (), "void", "no memory", "failed")
    )
    void = at(8, 0.004)
    void = void.replace(measurement=void.measurement.replace(quality="void"))
    table = tables([failed, at(1, 0.001), at(8, 0.003), void, at(1, 0.002)], 1)[0]
    assert table.title.startswith("Speed against batch 1 (a model")
    assert [tuple(map(cell_text, cells)) for cells in table.rows] == [
        ("batch 4", "-", "-", "failed"),
        ("batch 8", "3.00×", "3.00× to 3.00×", "faster"),
        ("batch 8", "-", "-", "void"),
        ("batch 1", "0.55×", "0.55× to 0.55×", "slower"),
    ]


def test_one_configuration_has_no_speed():
    assert tables([at(1, 0.001)], 1)[0].title.startswith("Time of a pass")
