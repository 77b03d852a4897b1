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
