"""Which text and number each cell of the counting tables has."""

from __future__ import annotations

from analyzer import compare, count
from analyzer.records.comparison import compare_records
from analyzer.records.crosscheck_result import Agreement, Difference, RowAgreement
from analyzer.records.record import Record, restrict
from analyzer.records.rows import Count, Row
from reports.counting import comparison, count_tables
from reports.table import Cell, Table, as_cell, cell_text


def row(path: str, macs: int, params: int = 0) -> Row:
    return Row(path, path, "conv2d", 1, ((1, 2),), ((1, 3),), params, params, 0, macs, 2 * macs, 3, 8, 12)


def record(model: str, *rows: Row) -> Record:
    return Record(model, ((1, 2),), "inference", Count("closed_form", rows))


def texts(table: Table) -> dict[str, list[str]]:
    return {cell_text(name): list(map(cell_text, cells)) for name, *cells in table.rows}


def test_a_network_has_a_row_per_module_and_a_total():
    table = count_tables.network(record("m", row("a.x", 30, 5), row("a.y", 10), row("b", 60, 7)))
    assert table.total
    assert texts(table) == {
        "a": ["3", "5", "40", "40.0 %", "80", "6", "2"],  # 80 FLOPs over 2 x 20 bytes.
        "b": ["3", "7", "60", "60.0 %", "120", "3", "6"],
        "total": ["", "12", "100", "100 %", "200", "9", "3.33"],
    }
    assert [as_cell(cell).value for cell in table.rows[0][2:5]] == [5, 40, 0.4]
    assert as_cell(table.rows[0][4]).share == 0.4


def test_times_add_two_columns():
    table = count_tables.network(record("m", row("a", 1), row("", 1)), 1, {"": 0.004, "a": 0.001})
    assert [column.title for column in table.columns[-2:]] == ["time", "share of time"]
    assert texts(table)["a"][-2:] == ["1.000 ms", "25.0 %"]
    assert texts(table)["(top level)"][-2:] == ["-", "-"]
    assert texts(table)["total"][-2:] == ["4.000 ms", "100 %"]


def test_shares_of_a_network_without_macs_are_zero():
    assert texts(count_tables.network(record("m", row("a", 0))))["total"][3] == "0.0 %"


def test_a_restriction_names_its_share_of_the_network():
    table = count_tables.network(restrict(record("m", row("a", 25), row("b", 75)), "a"))
    assert table.title.startswith("a of m: ")
    assert "25.0 %" in table.notes[0]


def test_unknown_operators_are_named_in_a_note():
    known = record("m", row("a", 1))
    table = count_tables.network(known.replace(count=known.count.replace(unknown_ops={"aten::z": 1, "aten::b": 2})))
    assert any("aten::b 2, aten::z 1" in note for note in table.notes)


def test_an_agreement_shows_every_counter_and_every_difference():
    counters = ("closed_form", "dispatch", "fvcore")
    rows = (
        RowAgreement("a", "conv2d", dict(zip(counters, (1234, 1234, 1234), strict=True)), {}, True),
        RowAgreement("", "cat", dict(zip(counters, (0, 1, 0), strict=True)), {}, False),
    )
    differences = (Difference("", "macs", {"closed_form": 0, "dispatch": 1}),)
    agreement = Agreement(counters, differences, {"fvcore": "has no bytes"}, rows)
    table = count_tables.agreement(record("m", row("a", 1)).replace(agreement=agreement))
    assert [column.title for column in table.columns] == [
        "row", "MACs closed form", "MACs dispatch", "MACs fvcore", "all",
    ]  # fmt: skip
    assert texts(table) == {
        "a": ["1,234", "1,234", "1,234", "agree"],
        "(top level)": ["0", "1", "0", "DIFFER"],
    }
    assert table.notes[0].startswith("2 rows, 1 differences.")
    assert table.notes[1:] == ("fvcore has no bytes", "differs: (top level) macs: closed_form 0, dispatch 1")


# Comparisons.


def tables(*records: Record, metric: str = "macs", depth: int = 1) -> list[Table]:
    return comparison.tables(compare_records(records), metric, depth)


def test_two_networks_have_difference_and_ratio():
    _, table = tables(record("one", row("a", 100), row("b", 10)), record("two", row("a", 25), row("c", 5)))
    assert texts(table) == {
        "a": ["100", "25", "-75", "4.00× fewer"],
        "b": ["10", "-", "", "only in 1st"],
        "c": ["-", "5", "", "only in 2nd"],
        "total": ["110", "30", "-80", "3.67× fewer"],
    }


def test_bytes_are_less_not_fewer():
    summary, _ = tables(record("one", row("a", 100), row("b", 1)), record("two", row("a", 1)))
    assert texts(summary)[""][-1] == "2.00× less"


def test_more_than_two_networks_have_ratios_and_no_difference():
    records = [record(name, row("a", macs)) for name, macs in (("1", 10), ("2", 20), ("3", 10), ("4", 0))]
    _, table = tables(*records)
    assert [column.title for column in table.columns] == [
        "module",
        "1",
        "2",
        "ratio to 1st",
        "3",
        "ratio to 1st",
        "4",
        "ratio to 1st",
    ]
    assert [column.block for column in table.columns] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert texts(table)["a"] == ["10", "20", "2.00× more", "10", "same", "0", "none"]


def test_the_summary_has_every_model_and_its_ratios_below():
    summary, _ = tables(record("one", row("a", 100, 4)), record("two", row("a", 25, 8)))
    assert [[cell_text(cell) for cell in cells[:3]] for cells in summary.rows] == [
        ["one", "4", "100"],
        ["two", "8", "25"],
        ["", "2.00× more", "4.00× fewer"],
    ]


def test_overrides_stand_below_the_network_with_the_ratios_beside_the_first():
    overrides = [{}, {"inception_4a.reduce_5x5": 24, "conv1.out": 96, "linear.out": 10}]
    summary, _ = tables(*(count("googlenet", overrides=changes) for changes in overrides))
    assert [name for name, *_ in summary.rows] == [
        Cell("googlenet"),
        Cell("googlenet"),
        Cell("@inception_4a.reduce_5x5=24", depth=1),
        Cell("@conv1.conv.out=96", depth=1),
        Cell("@linear.out=10", depth=1),
    ]
    assert all(summary.rows[2][1:])
    assert not any(cell for cells in summary.rows[3:] for cell in cells[1:])


def test_modules_without_the_metric_are_left_out_and_a_note_says_so():
    _, table = tables(record("one", row("a", 1), row("b", 0)), record("two", row("a", 1), row("b", 0)))
    assert list(texts(table)) == ["a", "total"]
    assert "left out" in table.notes[0]


def test_a_module_that_one_network_lacks_is_missing_in_the_total_too():
    summary, table = tables(*(restrict(count(name), "linear") for name in ("googlenet", "alexnet")))
    assert texts(table)["total"] == ["1.024 M", "-", "", "only in 1st"]
    assert texts(summary)["alexnet"][:2] == ["-", "-"]


def test_conditions_are_in_the_title_if_all_share_them_and_else_in_a_column():
    summary, _ = comparison.tables(compare("googlenet", "alexnet"), "macs", 1)
    assert summary.title.startswith("googlenet against alexnet (inputs differ: 1x3x224x224, 1x3x227x227; inference,")
    assert "inference" in summary.title
    assert [cells[-1] for cells in summary.rows] == ["input 1x3x224x224", "input 1x3x227x227", ""]
    same, _ = comparison.tables(compare("googlenet", "nin"), "macs", 1)
    assert "input 1x3x224x224" in same.title


def test_training_shows_forward_backward_and_step():
    layers = (row("a", 100, 10).replace(backward_macs=100), row("b", 200).replace(backward_macs=400))
    table = count_tables.network(record("net", *layers).replace(mode="training"))
    titles = ["module", "output", "params", "forward", "backward", "step", "share", "FLOPs"]
    assert [column.title for column in table.columns] == titles
    assert texts(table) == {
        # FLOPs of a step: 2 x forward MACs, as `row` makes them, and 2 x backward MACs.
        "a": ["3", "10", "100", "100", "200", "25.0 %", "400"],
        "b": ["3", "0", "200", "400", "600", "75.0 %", "1.200 k"],
        "total": ["", "10", "300", "500", "800", "100 %", "1.600 k"],
    }
    assert "backward 500 MACs, 1,000 FLOPs; step 800 MACs, 1,600 FLOPs" in table.notes[0]


def test_recomputed_macs_have_a_column_if_there_are_any():
    layers = (
        row("a", 100, 10).replace(backward_macs=100, recomputed_macs=0),
        row("b", 200).replace(backward_macs=400, recomputed_macs=200),
    )
    table = count_tables.network(record("m", *layers).replace(mode="training"))
    titles = ["module", "output", "params", "forward", "backward", "recomputed", "step", "share", "FLOPs"]
    assert [column.title for column in table.columns] == titles
    # The step: 100 + 100, and 200 + 400 + 200.
    assert [[cell_text(cell) for cell in line[3:7]] for line in table.rows] == [
        ["100", "100", "0", "200"],
        ["200", "400", "200", "800"],
        ["300", "500", "200", "1.000 k"],
    ]
    assert "recomputed 200 MACs; step 1,000 MACs, 2,000 FLOPs" in table.notes[0]
