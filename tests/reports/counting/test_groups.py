"""Modules, operators and types as groups of rows: sorted, the largest first, and always adding up to the record."""

from __future__ import annotations

import pytest
from torch import nn

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.records.record import Record, restrict
from analyzer.records.rows import Count, Row, total
from reports.counting.groups import COLUMNS, default_depth, groups


def row(path: str, macs: int, params: int = 0, op: str = "linear", width: int = 3) -> Row:
    return Row(path, path, op, 1, ((1, 2),), ((1, width),), params, params, 0, macs, 2 * macs, 3, 8, 12)


def record(*rows: Row) -> Record:
    return Record("m", ((1, 2),), "inference", Count("closed_form", rows))


def names(*arguments, **options) -> list[tuple[str, int]]:
    return [(group.name.text, group.totals.macs) for group in groups(*arguments, **options)]


TREE = record(row("a.x", 30, 1), row("b", 60), row("a.y", 40, 9), row("a", 20), row("", 10))


def test_children_follow_their_parent_although_another_module_ran_between_them():
    assert names(TREE, 2) == [("a", 90), ("(own forward)", 20), ("x", 30), ("y", 40), ("b", 60), ("(top level)", 10)]


def test_siblings_are_sorted_below_their_parent():
    assert names(TREE, 2, sort="macs") == [
        ("a", 90), ("y", 40), ("x", 30), ("(own forward)", 20), ("b", 60), ("(top level)", 10),
    ]  # fmt: skip
    assert names(TREE, 1, sort="macs") == [("a", 90), ("b", 60), ("(top level)", 10)]
    by_params = names(TREE, 2, sort="params")
    assert [name for name, _ in by_params[:3]] == ["a", "y", "x"]


def test_the_largest_are_a_list_of_whole_paths():
    """The others have 30 + 20 + 10."""
    assert names(TREE, 2, top=2) == [("b", 60), ("a.y", 40), ("(3 more)", 60)]
    assert names(TREE, 2, top=1, sort="params") == [("a.y", 40), ("(4 more)", 120)]
    assert names(TREE, 1, top=5) == [("a", 90), ("b", 60), ("(top level)", 10)]


OPERATORS = record(row("a", 5, 6), row("b", 9, op="matmul"), row("c", 7, 6), row("d", 1, 8, width=4))


def test_operators_and_types_are_sorted_by_macs():
    assert names(OPERATORS, by="operator") == [("linear", 13), ("matmul", 9)]
    assert names(OPERATORS, by="type") == [
        ("linear 2→3, 6 weights", 12), ("matmul", 9), ("linear 2→4, 8 weights", 1),
    ]  # fmt: skip
    assert [group.calls for group in groups(OPERATORS, by="type", top=1)] == [2, 2]
    assert names(OPERATORS, by="operator", sort="activations") == [("linear", 13), ("matmul", 9)]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("options", [{"top": 3}, {"by": "operator"}, {"by": "type"}, {"by": "type", "top": 2}])
@pytest.mark.parametrize("depth", [1, 2, 9])
def test_groups_without_children_add_up(train, depth, options):
    whole = analyzer.count("googlenet", train=train)
    for counted in (whole, restrict(whole, "inception_4a"), TREE):
        assert total([group.totals for group in groups(counted, depth, **options) if group.leaf]) == counted.totals


def test_every_column_sorts():
    trained = analyzer.count("nin", train=True)
    for column in COLUMNS:
        assert len(groups(trained, 2, sort=column)) == len(groups(trained, 2))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("a.x", 50), row("b", 50)], 1),
        ([row("a.x", 80), row("b", 20)], 1),  # At most 80 %.
        ([row("a.x.y", 41), row("a.z", 40), row("b", 19)], 2),
        ([row("a.x.y", 90), row("a.x.z", 10)], 3),
        ([row("a", 100)], 1),  # Cannot be divided.
        ([row("a.b", 90), row("a", 10)], 2),
        ([row("a.x", 0, 5), row("a.y", 0, 5)], 2),  # Without MACs, by parameters.
        ([row(f"a.{number}", 1) for number in range(60)], 1),  # 61 rows are too many.
        ([row(f"a.{number}", 1) for number in range(59)], 2),
        ([], 1),
    ],
)
def test_the_default_depth_divides_a_module_that_has_nearly_everything(rows, expected):
    assert default_depth(record(*rows)) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "layer"}, "by is 'layer'; wanted one of: module, operator, type"),
        ({"sort": "mac"}, "sort is 'mac'; nearest: macs"),
        ({"sort": "step_macs"}, "sort is 'step_macs', which needs train=True"),
        ({"top": 0}, "top is 0; wanted a whole number"),
        ({"depth": "2"}, "depth is '2'; wanted a whole number"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(AnalyzerError, match=message):
        groups(TREE, **options)


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU())


FOLDED = analyzer.count(nn.Sequential(nn.Linear(4, 8), nn.Sequential(*[block() for _ in range(5)])), input="4")


def test_equal_modules_are_one_row_with_their_sum():
    shown = groups(FOLDED, 3, fold=True)
    assert [(group.name.text, group.name.depth, group.type, group.totals.macs) for group in shown] == [
        ("0", 0, "Linear 4→8", 32),
        ("1.0–4", 0, "5 × Sequential", 5 * 64),
        ("0", 1, "5 × Linear 8→8", 5 * 64),
        ("1", 1, "5 × ReLU", 0),
    ]
    assert total([group.totals for group in shown if group.leaf]) == FOLDED.totals
    assert default_depth(FOLDED, fold=True) == 3


def test_without_a_depth_only_modules_with_nearly_everything_are_divided():
    rows = record(row("stem.conv", 5), row("stem.norm", 0), row("body.a.x", 50), row("body.a.y", 0), row("body.b", 45))
    assert names(rows, None) == [("stem", 5), ("body", 95), ("a", 50), ("b", 45)]
    assert len(names(rows, 2)) == 6
    assert total([group.totals for group in groups(rows, None) if group.leaf]) == rows.totals
    assert names(restrict(rows, "stem"), None) == [("stem", 5), ("conv", 5), ("norm", 0)]
    assert names(rows, None, top=9) == [("body.a", 50), ("body.b", 45), ("stem.conv", 5), ("stem.norm", 0)]


def test_without_folding_every_module_has_a_row():
    assert [group.name.text for group in groups(FOLDED, 2)] == ["0", "1", "0", "1", "2", "3", "4"]
    assert groups(FOLDED, 2)[1].type == "5 Sequential"
    assert len(groups(FOLDED, 3, fold=True, top=20)) == 11
