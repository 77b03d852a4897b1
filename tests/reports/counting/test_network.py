"""Records as tables: what stands in which cell."""

from __future__ import annotations

import pytest

from analyzer import compare, count
from analyzer.records.agreement import Agreement, Difference, Figure
from analyzer.records.comparison import compare_records
from analyzer.records.record import Count, Record, Row, restrict
from reports.counting import comparison as side_by_side
from reports.counting import network as views
from reports.table import Name, Share


def row(path: str, macs: int, params: int = 0) -> Row:
    return Row(path, path, "conv2d", 1, ((1, 2),), ((1, 3),), params, params, 0, macs, 2 * macs, 3, 8, 12)


def record(model: str, *rows: Row) -> Record:
    return Record(model, ((1, 2),), "inference", Count("closed_form", rows))


def by_name(table) -> dict[str, tuple]:
    return {name.text: cells for name, *cells in table.rows}


@pytest.mark.parametrize(
    ("path", "base", "depth", "expected"),
    [
        ("a", "", 1, Name("a", 0)),
        ("a.b", "", 1, None),
        ("a.b", "", 2, Name("b", 1)),
        ("a.b.c", "", 3, Name("c", 2)),
        ("a.b", "a.b", 1, Name("a.b", 0)),
        ("a.b.c", "a.b", 1, Name("c", 1)),
        ("a.b.c.d", "a.b", 1, None),
        ("a", "a.b", 1, None),
        ("a.bc", "a.b", 5, None),
    ],
)
def test_a_path_in_the_tree(path, base, depth, expected):
    assert views.tree_name(path, base, depth) == expected


def test_a_network_is_a_row_a_module_and_a_sum():
    table = views.network(record("m", row("a.x", 30, 5), row("a.y", 10), row("b", 60, 7)))
    assert [name for name, *_ in table.rows] == [Name("a"), Name("b"), Name("total")]
    assert table.total
    cells = by_name(table)
    assert cells["a"] == ["3", "5", "40", Share(0.4), "80", "6", "2"]  # 80 FLOPs over 2 x 20 bytes
    assert cells["total"] == ["", "12", "100", Share(1.0), "200", "9", "3.33"]


def test_a_network_without_work_has_shares_of_zero():
    assert by_name(views.network(record("m", row("a", 0))))["total"][3] == Share(0.0)


def test_a_restriction_says_what_part_it_is():
    whole = record("m", row("a", 25), row("b", 75))
    table = views.network(restrict(whole, "a"))
    assert table.title.startswith("a of m: ")
    assert "25.0 % of the network's MACs" in table.notes[0]


def test_unknown_operators_are_named_in_a_note():
    one = record("m", row("a", 1))
    table = views.network(one.replace(count=one.count.replace(unknown_ops={"aten::z": 1, "aten::b": 2})))
    assert "Not counted, no formula for (calls): aten::b 2, aten::z 1" in table.notes


def test_an_agreement_shows_every_counter_and_every_difference():
    counters = ("closed_form", "dispatch", "fvcore")
    figures = (
        Figure("a", "conv2d", dict(zip(counters, (1234, 1234, 1234), strict=True)), {}, True),
        Figure("", "cat", dict(zip(counters, (0, 1, 0), strict=True)), {}, False),
    )
    differences = (Difference("", "macs", {"closed_form": 0, "dispatch": 1}),)
    found = Agreement(counters, differences, {"fvcore": "has no bytes"}, figures)
    table = views.agreement(record("m", row("a", 1)).replace(agreement=found))
    assert [column.title for column in table.columns] == [
        "row", "MACs closed form", "MACs dispatch", "MACs fvcore", "all",
    ]  # fmt: skip
    assert by_name(table) == {
        "a": ["1,234", "1,234", "1,234", "agree"],
        "(top level)": ["0", "1", "0", "DIFFER"],
    }
    assert table.notes[0].startswith("2 rows, 1 differences.")
    assert table.notes[1:] == ("fvcore has no bytes", "differs: (top level) macs: closed_form 0, dispatch 1")


# Side by side


def pair(*records: Record, metric: str = "macs", depth: int = 1):
    return side_by_side.tables(compare_records(records), metric, depth)


def test_two_have_difference_and_ratio():
    _, table = pair(record("one", row("a", 100), row("b", 10)), record("two", row("a", 25), row("c", 5)))
    assert by_name(table) == {
        "a": ["100", "25", "-75", "4.00x fewer"],
        "b": ["10", "-", "", "only in 1st"],
        "c": ["-", "5", "", "only in 2nd"],
        "total": ["110", "30", "-80", "3.67x fewer"],
    }


def test_more_than_two_have_ratios_and_no_difference():
    tables = pair(*(record(name, row("a", macs)) for name, macs in (("1", 10), ("2", 20), ("3", 10), ("4", 0))))
    assert len(tables) == 3
    assert [column.title for column in tables[1].columns] == ["module", "1", "2", "ratio to 1st", "3", "ratio to 1st"]
    assert by_name(tables[1])["a"] == ["10", "20", "2.00x more", "10", "same"]
    assert by_name(tables[2])["a"] == ["10", "0", "all gone"]


def test_the_summary_has_every_model_and_its_ratio_below():
    summary, _ = pair(record("one", row("a", 100, 4)), record("two", row("a", 25, 8)))
    assert [(name.text, *cells[:2]) for name, *cells in summary.rows] == [
        ("one", "4", "100"),
        ("two", "8", "25"),
        ("", "2.00x more", "4.00x fewer"),
    ]


def test_modules_without_the_metric_are_left_out_and_the_note_says_so():
    _, table = pair(record("one", row("a", 1), row("b", 0)), record("two", row("a", 1), row("b", 0)))
    assert list(by_name(table)) == ["a", "total"]
    assert "left out" in table.notes[0]


def test_a_module_that_one_side_lacks_is_missing_in_the_sum_too():
    comparison = compare_records([restrict(count(name), "linear") for name in ("googlenet", "alexnet")])
    summary, table = side_by_side.tables(comparison, "macs", 1)
    assert by_name(table)["total"] == ["1.024 M", "-", "", "only in 1st"]
    assert by_name(summary)["alexnet"][:2] == ["-", "-"]


def test_settings_that_differ_stand_with_each_model():
    summary, _ = side_by_side.tables(compare("googlenet", "alexnet"), "macs", 1)
    assert "input" not in summary.title
    assert "input 1x3x227x227" in summary.notes[1]
    same, _ = side_by_side.tables(compare("googlenet", "nin"), "macs", 1)
    assert "input 1x3x224x224" in same.title
