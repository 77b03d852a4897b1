"""Which modules a table shows, and which are one row."""

from __future__ import annotations

import pytest

from reports.counting.tree import Repeats, find_repeats, tree, tree_name
from reports.table import Cell


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


@pytest.mark.parametrize(
    ("paths", "runs"),
    [
        ("0:a 1:a 2:a", {"0": ("2", 3)}),
        ("0:a 1:a 2:b 3:b", {"0": ("1", 2), "2": ("3", 2)}),
        ("0:a 1:b 2:a", {}),
        ("h.0:a h.1:a g.0:a", {"h.0": ("h.1", 2)}),
        ("conv1:a conv2:a", {}),  # Two with names are not worth a row less.
        ("layer1:a layer2:a layer3:a", {"layer1": ("layer3", 3)}),
        ("a:a b:a c:a", {}),
    ],
)
def test_consecutive_equal_siblings_are_a_run(paths, runs):
    keys = dict(text.split(":") for text in paths.split())
    repeats = find_repeats(keys, keys.__getitem__)
    assert repeats.runs == runs
    assert len(repeats.hidden) == sum(count - 1 for _, count in runs.values())


PATHS = ("stem", "h", "h.0", "h.0.a", "h.0.a.0", "h.0.a.1", "h.1", "h.1.a", "h.1.a.0", "h.1.a.1")
REPEATS = Repeats({"h.0": ("h.1", 2), "h.0.a.0": ("h.0.a.1", 2)}, frozenset({"h.1", "h.0.a.1"}))


def shown(depth: int, base: str = "", own: tuple[str, ...] = ()) -> list[tuple[str, int, int]]:
    return [(node.name.text, node.name.depth, node.times) for node in tree(PATHS, base, depth, REPEATS, own)]


def test_a_run_stands_for_all_its_parts_and_takes_the_name_of_a_parent_without_more():
    assert shown(1) == [("stem", 0, 1), ("h", 0, 1)]
    assert shown(2) == [("stem", 0, 1), ("h.0–1", 0, 2)]
    assert shown(3) == [("stem", 0, 1), ("h.0–1", 0, 2), ("a", 1, 2)]
    assert shown(4) == [("stem", 0, 1), ("h.0–1", 0, 2), ("a.0–1", 1, 4)]


def test_the_name_of_a_run_has_the_last_number():
    repeats = Repeats({"layer_0": ("layer_11", 12), "s1b": ("s3b", 3)}, frozenset({"layer_11", "s3b"}))
    assert [node.name.text for node in tree(("layer_0", "s1b"), "", 1, repeats, ())] == ["layer_0–11", "s1b–3b"]


def test_a_base_and_a_parent_with_more_keep_their_rows():
    assert shown(1, base="h") == [("h", 0, 1), ("0–1", 1, 2)]
    assert shown(2, own=("h",)) == [("stem", 0, 1), ("h", 0, 1), ("0–1", 1, 2)]
