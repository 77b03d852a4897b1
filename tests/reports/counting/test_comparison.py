"""Comparisons of networks with few modules in common."""

from __future__ import annotations

import analyzer
from reports.counting.comparison import MAX_UNMATCHED, tables
from reports.table import as_cell


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
