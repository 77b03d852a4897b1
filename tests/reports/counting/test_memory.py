"""Memory tables: the parts of the peak, and the same parts for several records side by side."""

from __future__ import annotations

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from reports.counting.memory import peak_parts, tables
from reports.table import as_cell, cell_text


def record(name="nin", **options):
    return count_variant(variant(name), memory=True, **options)


def test_the_parts_add_up_to_the_peak():
    nin = record()
    first, modules, batches = tables(nin, lambda batch, memory: record(batch=batch))
    sizes = {cell_text(name): as_cell(size).value for name, size, _ in first.rows}
    assert sizes["peak"] == nin.memory.peak == sum(list(sizes.values())[:4])
    assert [cells[-1] for cells in first.rows[:5]] == [f"{size:,}" for size in list(sizes.values())[:5]]
    assert [column.title for column in modules.columns] == ["module", "allocated", "peak memory"]
    assert len(batches.rows) == 5


def test_records_stand_side_by_side_and_training_adds_optimizers():
    records = {"inference": record(), "training": record("alexnet", train=True)}
    table = peak_parts(records)
    assert [column.title for column in table.columns] == ["memory", "inference", "training"]
    rows = {cell_text(name): [as_cell(cell).value for cell in cells] for name, *cells in table.rows}
    assert rows["with adam"][1] == records["training"].memory.peak + 2 * records["training"].memory.gradients
