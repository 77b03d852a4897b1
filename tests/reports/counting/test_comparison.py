"""Comparisons of networks with few modules in common."""

from __future__ import annotations

import copy

from torch import nn

import analyzer
from reports.counting.compared_modules import MAX_UNMATCHED
from reports.counting.comparison import tables
from reports.counting.groups import groups
from reports.table import as_cell, cell_text


def modules(first, second, depth=1):
    """Name → values of the table by module."""
    table = tables(analyzer.compare(first, second), "macs", depth)[1]
    return {as_cell(name).text: tuple(as_cell(cell).value for cell in cells[:2]) for name, *cells in table.rows}


def test_modules_in_a_run_that_one_network_lacks_share_a_row():
    rows, count = modules("googlenet", "vgg16"), analyzer.count("vgg16")
    conv3 = sum(row.macs for row in count.rows if row.path.startswith("conv3_"))
    assert rows["conv3_1…conv3_3"] == (None, conv3)
    assert "conv4_1" not in rows
    whole = rows.pop("total")
    assert tuple(sum(filter(None, column)) for column in zip(*rows.values(), strict=True)) == whole


def test_a_few_of_them_have_a_row_each():
    rows = modules("googlenet", "alexnet")
    assert {"conv3", "conv4", "conv5", "inception_3a", "inception_3b", "inception_4a"} <= {*rows}
    assert sum(None in values for values in rows.values()) <= MAX_UNMATCHED


def test_different_inputs_modes_and_types_are_in_the_heading_and_whole_on_a_narrow_terminal():
    first = analyzer.count("nin", batch=8).replace(dtype="float16", model="nin16")
    comparison = analyzer.compare(first, analyzer.count("nin", train=True))
    title = tables(comparison, "macs", 1)[0].title
    for text in (
        "inputs differ: 8x3x224x224, 1x3x224x224",
        "modes differ: inference, training",
        "types differ: float16",
    ):
        assert text in title
    lines = str(comparison).splitlines()
    for value in ("input 8x3x224x224", "inference", "float16", "input 1x3x224x224", "training", "float32"):
        assert any(line.endswith(f" {value}") for line in lines)
    assert "differ" not in tables(analyzer.compare("nin", "googlenet"), "macs", 1)[0].title


def test_the_conditions_stay_on_a_narrow_terminal_in_training():
    comparison = analyzer.compare("googlenet", "alexnet", "vgg16", train=True)
    assert "input 1x3x227x227" in str(comparison)


def test_many_inputs_are_cut_in_the_heading():
    records = [analyzer.count("nin", batch=batch) for batch in range(1, 8)]
    assert "4x3x224x224 and 3 more" in tables(analyzer.compare(*records), "macs", 1)[0].title


class Blocks(nn.Module):
    def __init__(self, width, blocks):
        super().__init__()
        layers = (nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * width), nn.Linear(2 * width, width))
        self.stem = nn.Linear(8, width)
        self.body = nn.Sequential(*(nn.Sequential(*map(copy.deepcopy, layers)) for _ in range(blocks)))

    def forward(self, x):
        return self.body(self.stem(x))


def blocks(name, width=8, number=5):
    return analyzer.count(Blocks(width, number), input="8").replace(model=name)


def by_module(records, *, depth=None, fold=True):
    """Name → text of the table's other cells."""
    table = tables(analyzer.compare(*records), "macs", depth, fold=fold)[1]
    return {as_cell(name).text: list(map(cell_text, cells)) for name, *cells in table.rows}


def test_equal_blocks_share_a_row_with_the_sums_of_each_network():
    rows = by_module([blocks("narrow"), blocks("wide", 16)])
    assert rows["body.0–4"][:3] == ["5 × Sequential", "1.600 k", "6.400 k"]  # 5 blocks of 5 · 8 · 8
    assert rows["3"][:3] == ["5 × Linear", "640", "2.560 k"]
    assert rows["total"][1:3] == ["1.664 k", "6.528 k"]


def test_blocks_that_one_network_lacks_are_a_run_of_their_own():
    rows = by_module([blocks("long"), blocks("short", number=3)], depth=2)
    assert rows["0–2"][:3] == ["3 × Sequential", "960", "960"]
    assert rows["3–4"][:3] == ["2 × Sequential", "640", "-"]


def test_blocks_that_differ_within_one_network_have_a_row_each():
    even = blocks("even")
    rows = [row.replace(macs=row.macs + row.path.startswith("body.2.")) for row in even.rows]
    uneven = even.replace(model="uneven", count=even.count.replace(rows=tuple(rows)))
    shown = by_module([even, uneven], depth=2)
    assert {"0–1", "2", "3–4"} <= {*shown}


def test_without_folding_every_block_has_a_row():
    shown = by_module([blocks("narrow"), blocks("wide", 16)], depth=2, fold=False)
    assert {"body", *"01234"} <= {*shown}
    assert len(shown["body"]) == 4  # No column of types.


def test_a_comparison_is_as_deep_as_the_table_of_its_networks():
    first, second = blocks("narrow"), blocks("wide", 16)
    alone = [group.name.text for group in groups(first, None, fold=True) if group.totals.macs]
    assert [name for name in by_module([first, second]) if name != "total"] == alone
