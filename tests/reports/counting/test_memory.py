"""Memory tables: the parts of the peak, and the same parts for several records side by side."""

from __future__ import annotations

import csv

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from analyzer.records.optimizer_memory import OPTIMIZERS
from analyzer.records.record import restrict
from analyzer.records.training import TrainingSetup
from reports.counting.memory import by_optimizer, memory_csv, peak_parts, tables
from reports.table import as_cell, cell_text


def record(name="nin", setup=True, **options):
    return count_variant(variant(name), memory=setup, **options)


def test_the_parts_add_up_to_the_peak():
    nin = record()
    first, modules, batches = tables(nin, lambda batch, memory: record(batch=batch))
    sizes = {cell_text(name): as_cell(size).value for name, size, _ in first.rows}
    assert list(sizes) == ["parameters", "buffers", "inputs", "activations at the peak", "peak", "peak occurs in"]
    assert sizes["peak"] == nin.memory.peak == sum(list(sizes.values())[:4])
    assert [cells[-1] for cells in first.rows[:5]] == [f"{size:,}" for size in list(sizes.values())[:5]]
    assert [column.title for column in modules.columns] == ["module", "allocated", "peak memory"]
    assert len(batches.rows) == 5


def test_records_stand_side_by_side():
    records = {"inference": record(), "training": record("alexnet", train=True)}
    table = peak_parts(records)
    assert [column.title for column in table.columns] == ["memory", "inference", "training"]
    rows = {cell_text(name): [as_cell(cell).value for cell in cells] for name, *cells in table.rows}
    assert rows["peak"] == [kept.memory.peak for kept in records.values()]
    assert rows["saved activations"] == [None, records["training"].memory.saved_at_peak]
    terms = [values[1] or 0 for name, values in rows.items() if name not in ("peak", "peak occurs in")]
    assert sum(terms) == rows["peak"][1]


def test_a_term_that_only_the_second_record_has_is_a_row():
    table = peak_parts({"first": record(), "second": record("googlenet-torchvision")})
    assert "buffers" in [cell_text(name) for name, *_ in table.rows]


def test_training_has_a_row_for_each_optimizer():
    def train(batch, memory=True):
        return record("nin", train=True, batch=batch, setup=memory)

    nin = train(1)
    *_, batches = tables(nin, train)
    assert [cell_text(row[0]) for row in batches.rows] == list(OPTIMIZERS)
    assert [as_cell(row[1]).value for row in batches.rows] == [nin.memory.optimizers[name].state for name in OPTIMIZERS]
    assert [as_cell(row[2]).value for row in batches.rows] == list(map(nin.memory.total, OPTIMIZERS))


def test_the_setup_is_in_the_title_and_its_optimizer_in_the_terms():
    setup = TrainingSetup("adam", "bf16-mixed", devices=8, accumulate=2)
    nin = record("nin", train=True, setup=setup)
    first, _, batches = tables(nin, lambda batch, memory: record("nin", train=True, batch=batch, setup=memory))
    assert ", training, bf16-mixed, " in first.title
    assert first.title.endswith(", adam, one of 8 devices at stage 3, 2 passes per step")
    sizes = {cell_text(name): as_cell(size).value for name, size, _ in first.rows}
    assert sizes["optimizer state"] == nin.memory.optimizers["adam"].state
    assert sizes["peak"] == nin.memory.total("adam")
    assert len(batches.rows) == 1


def test_depth_and_module_choose_the_modules():
    def modules(record, depth):
        return [cell_text(row[0]) for row in tables(record, lambda batch, memory: record, depth)[1].rows]

    googlenet = record("googlenet")
    assert "branch_1x1" not in modules(googlenet, 1)
    assert "branch_1x1" in modules(googlenet, 2)
    restricted = restrict(googlenet, "inception_4a")
    assert modules(restricted, 1)[0] == "inception_4a"
    assert all(known.path.startswith("inception_4a") for known in restricted.memory.modules)


def test_csv_has_a_line_per_term_and_module():
    nin = record("nin", train=True)
    lines = list(csv.reader(memory_csv([nin]).splitlines()))
    assert lines[0] == ["model", "path", "term", "bytes"]
    terms = {(path, term): int(size) for _, path, term, size in lines[1:]}
    assert terms["", "peak with adam"] == nin.memory.total("adam")
    first = nin.memory.modules[0]
    assert terms[first.path, "allocated"] == first.allocated


def test_optimizers_stand_below_each_other_for_the_page():
    records = {"inference": record(), "training": record("nin", train=True)}
    table = by_optimizer(records)
    assert [cell_text(name) for name, *_ in table.rows] == ["training"] * len(OPTIMIZERS)
    assert [as_cell(row[3]).value for row in table.rows] == list(map(records["training"].memory.total, OPTIMIZERS))
    assert by_optimizer({"inference": record()}) is None


def test_of_many_networks_the_parts_of_the_peak_are_columns():
    names = ("nin", "alexnet", "vgg16", "googlenet")
    side_by_side = peak_parts({name: record(name) for name in names})
    below = peak_parts({name: record(name) for name in (*names, "googlenet-naive")})
    titles = [column.title for column in below.columns]
    assert titles == ["network", *(cell_text(name) for name, *_ in side_by_side.rows)]
    assert [below.rows[0][place] for place in range(1, len(titles))] == [row[1] for row in side_by_side.rows]


def test_of_many_networks_optimizers_stand_beside_each_other():
    training = record("nin", train=True)
    table = by_optimizer({"inference": record(), "first": training, "second": training})
    assert [column.title for column in table.columns] == ["network", *OPTIMIZERS]
    assert [cell_text(name) for name, *_ in table.rows] == ["first", "second"]
    assert [cell.value for cell in table.rows[1][1:]] == list(map(training.memory.total, OPTIMIZERS))
    assert table.rows[0][1].note == "state 0 B"
