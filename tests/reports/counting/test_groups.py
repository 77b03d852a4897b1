"""Modules, operators and types as groups of rows: sorted, the largest first, and always adding up to the record."""

from __future__ import annotations

import pytest

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.records.record import Record, restrict
from analyzer.records.rows import Count, Row, total
from reports.counting.groups import COLUMNS, default_depth, groups, operator_type, tree_name
from reports.table import Cell


def row(path: str, macs: int, params: int = 0, op: str = "linear", width: int = 3) -> Row:
    return Row(path, path, op, 1, ((1, 2),), ((1, width),), params, params, 0, macs, 2 * macs, 3, 8, 12)


def record(*rows: Row) -> Record:
    return Record("m", ((1, 2),), "inference", Count("closed_form", rows))


def names(*arguments, **options) -> list[tuple[str, int]]:
    return [(group.name.text, group.totals.macs) for group in groups(*arguments, **options)]


@pytest.mark.parametrize(
    ("path", "base", "depth", "expected"),
    [
        ("a", "", 1, Cell("a")),
        ("a.b", "", 1, None),
        ("a.b", "", 2, Cell("b", depth=1)),
        ("a.b.c", "", 3, Cell("c", depth=2)),
        ("a.b", "a.b", 1, Cell("a.b")),
        ("a.b.c", "a.b", 1, Cell("c", depth=1)),
        ("a.b.c.d", "a.b", 1, None),
        ("a", "a.b", 1, None),
        ("a.bc", "a.b", 5, None),
    ],
)
def test_a_path_in_the_tree(path, base, depth, expected):
    assert tree_name(path, base, depth) == expected


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


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "expected"),
    [
        ("conv2d", (1, 3, 8, 8), (1, 5, 6, 6), "conv2d 3→5, 7 weights"),
        ("conv1d", (3, 8), (5, 6), "conv1d 3→5, 7 weights"),  # Without a batch.
        ("conv_transpose3d", (1, 3, 4, 4, 4), (1, 5, 8, 8, 8), "conv_transpose3d 3→5, 7 weights"),
        ("batch_norm", (1, 3, 8, 8), (1, 3, 8, 8), "batch_norm 3→3, 7 weights"),
        ("embedding", (1, 128), (1, 128, 16), "embedding →16, 7 weights"),
        ("linear", (1, 9, 4), (1, 9, 6), "linear 4→6, 7 weights"),
    ],
)
def test_a_type_has_the_widths(op, inputs, outputs, expected):
    assert operator_type(row("a", 1, 7, op).replace(inputs=(inputs,), outputs=(outputs,))) == expected


def test_the_type_of_an_addition_has_the_widths_of_the_product():
    addition = row("a", 1, 7, "addmm").replace(inputs=((6,), (9, 4), (4, 6)), outputs=((9, 6),))
    assert operator_type(addition) == "addmm 4→6, 7 weights"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kernel": (7, 7), "stride": (2, 2), "padding": (3, 3), "groups": 1}, "conv2d 3→5 7x7/2"),
        ({"kernel": (1, 9), "stride": (1, 1), "groups": 1}, "conv2d 3→5 1x9"),
        ({"kernel": (3, 3), "stride": (2, 1), "groups": 3}, "conv2d 3→5 3x3/2x1, 3 groups"),
    ],
)
def test_the_type_of_an_operator_has_its_window(fields, expected):
    row = analyzer.count("nin").rows[0]
    row = row.replace(inputs=((1, 3, 8, 8),), outputs=((1, 5, 6, 6),), **{"padding": None, **fields})
    assert operator_type(row) == expected
    pool = row.replace(op="max_pool2d", weights=0, **{**fields, "groups": None})
    assert operator_type(pool) == "max_pool2d" + expected.removeprefix("conv2d 3→5").removesuffix(", 3 groups")


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
