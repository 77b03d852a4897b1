"""Figures that state the same thing in text, tables and charts are equal, over ten pages of records."""

from __future__ import annotations

import re
from itertools import pairwise
from math import isclose

import pytest

from analyzer.core.units import METRICS, scaled, seconds
from analyzer.counting.api import count, count_variant
from analyzer.networks.variants import variant
from analyzer.records.training import TrainingSetup
from reports.page.build import page
from reports.page.context import flat
from reports.page.network_views import compute_metric, network_views
from reports.page.sections.compute_by_module import TITLES
from reports.table import Table, as_cell, cell_text
from tests.timed_records import timed

SMALL = (3, 96, 96)
GPU_SHARE = 0.5


def on_gpu():
    record = timed("nin", quality="noisy", reason="launch-bound")
    whole = record.measurement.pass_timing
    half = tuple(sample * GPU_SHARE for sample in whole.samples_s)
    device = whole.replace(kind="device", samples_s=half, quality="trusted", reason="")
    return record.replace(measurement=record.measurement.replace(timings=(*record.measurement.timings, device)))


PAGES = {
    "one network": lambda: [count("googlenet", memory=True)],
    "a pair": lambda: [count("googlenet", memory=True), count("alexnet", memory=True)],
    "a batch of 8": lambda: [count_variant(variant("nin"), batch=8, memory=True)],
    "another size": lambda: [count("googlenet", input=(3, 320, 320), memory=True)],
    "training": lambda: [count("googlenet", train=True, memory=True)],
    "many in training": lambda: [
        count(name, train=True, memory=True) for name in ("alexnet", "nin", "vgg16", "googlenet", "googlenet-naive")
    ],
    "training with adam": lambda: [count("nin", input=SMALL, train=True, memory=TrainingSetup("adam"))],
    "timed": lambda: [timed("nin"), timed("alexnet")],
    "wall and GPU time": lambda: [on_gpu(), timed("nin", slower=2).replace(model="slow")],
    "a void time": lambda: [timed("nin"), timed("alexnet", quality="void", reason="busy")],
}


@pytest.fixture(params=PAGES, scope="module")
def shown(request):
    """The networks of a page, its blocks by id, and the compared MACs."""
    records = PAGES[request.param]()
    networks = network_views(records)
    blocks = [block for part in page(records).sections for block in flat(part.blocks)]
    by_id = {getattr(block, "id", ""): block for block in blocks}
    return networks, by_id, compute_metric(networks), blocks


def values(table: Table, title: str) -> dict[str, float | None]:
    """A column's exact values by the first cell."""
    (index,) = [position for position, column in enumerate(table.columns) if column.title == title]
    return {cell_text(row[0]): as_cell(row[index]).value for row in table.rows}


def test_sentences_state_the_totals_and_the_peak_of_the_tables(shown):
    networks, by_id, metric, blocks = shown
    lead = " ".join(blocks[0].texts)
    first = networks[0]
    params, macs = re.search(r"has ([\d.]+ \w) parameters and takes ([\d.]+ \w) multiply-adds", lead).groups()
    assert params == scaled(values(by_id["totals"], "params")[first.name])
    assert macs == scaled(first.totals.value(metric))
    if first.memory:
        (peak,) = re.findall(r"Memory peaks at ([\d.]+ \wB)", lead)
        table = by_id["memory-parts"]
        parts = {cell_text(row[0]): cell_text(row[1]) for row in table.rows}
        if table.columns[0].title == "network":  # Many networks have a row each.
            parts = {title: cell_text(cell) for title, cell in zip(titles(table), table.rows[0], strict=True)}
        assert peak == parts["peak"] == scaled(values(by_id["totals"], "peak bytes")[first.name], "B")
        assert peak == cell_text(by_id["networks"].rows[0][titles(by_id["networks"]).index("peak memory")])


def titles(table: Table) -> list[str]:
    return [column.title for column in table.columns]


def test_every_table_of_networks_has_the_same_totals(shown):
    networks, by_id, metric, _ = shown
    for name, title in ((metric, "MACs of a step" if metric == "step_macs" else "MACs"), ("params", "params")):
        expected = {network.name: network.totals.value(name) for network in networks}
        assert values(by_id["networks"], title) == expected
        if metric == "macs":
            assert values(by_id["totals"], METRICS[name].title) == expected
        if "bubbles" in by_id:
            listed = values(by_id["bubbles"].table, title)
            assert {network: listed[network] for network in expected} == expected
    texts = [as_cell(row[1]) for row in by_id["networks"].rows]
    assert [cell.text for cell in texts] == [scaled(cell.value) for cell in texts]


def test_parts_and_kinds_add_up_to_the_totals_in_chart_and_table(shown):
    networks, by_id, metric, _ = shown
    for name in ("parts", "operator-kinds"):
        chart = by_id[name]
        for network in networks:
            rows = [row for row in chart.table.rows if cell_text(row[0]) == network.name]
            for place, key in enumerate((metric, "params", "activations"), 2):
                assert sum(as_cell(row[place]).value for row in rows) == network.totals.value(key)
    for place, network in enumerate(networks):
        drawn = sum(trace["x"][place] for trace in by_id["parts"].figure["data"])
        assert drawn == network.totals.value(metric)
        assert isclose(sum(trace["x"][place] for trace in by_id["operator-kinds"].figure["data"]), 1)


def test_tiles_their_sentences_and_their_tables_have_the_totals(shown):
    networks, by_id, metric, _ = shown
    for network in networks:
        chart = by_id[f"tiles-{network.index}"]
        for key in (metric, "params", "activations"):
            view = dict(chart.views)[TITLES[key]]
            total = network.totals.value(key)
            (tiles,) = view["values"]
            parents = chart.figure["data"][0]["parents"]
            assert (
                tiles[0]
                == total
                >= sum(size for size, parent in zip(tiles, parents, strict=True) if parent == "(whole)")
            )
            assert f"{METRICS[key].text(total)} " in view["summary"]
        assert as_cell(chart.table.rows[-1][2]).value == network.totals.params
        full = by_id[f"rows-{network.index}"].rows[-1]
        assert as_cell(full[3]).value == network.totals.params
        assert as_cell(full[4]).value == network.totals.macs


def test_differences_are_those_of_the_totals(shown):
    networks, by_id, metric, _ = shown
    for first, other in pairwise(networks):
        chart = by_id.get(f"difference-{first.index}-{other.index}")
        if chart is None:
            continue
        before, after = first.totals.value(metric), other.totals.value(metric)
        *_, total = chart.table.rows
        assert [as_cell(cell).value for cell in total[1:4]] == [before, after, after - before]
        if after != before:
            assert f"{scaled(abs(after - before))} {'more' if after > before else 'fewer'}" in chart.summary


def test_the_memory_curve_and_its_sentence_have_the_activations_of_the_table(shown):
    networks, by_id, _, _ = shown
    for network in networks:
        if not network.memory:
            continue
        rows = [row for row in by_id["memory-curve"].table.rows if cell_text(row[0]) == network.name]
        largest = max(as_cell(row[2]).value for row in rows)
        training = network.record.mode == "training"
        assert largest <= network.memory.activations if training else largest == network.memory.activations
        if network.index < 3:
            assert f"{scaled(largest, 'B')} " in by_id["memory-curve"].summary
        if not training:
            column = 1 + network.index
            parts = {cell_text(row[0]): as_cell(row[column]).value for row in by_id["memory-parts"].rows}
            assert parts["activations at the peak"] == largest


def test_times_are_those_of_the_table_of_passes_and_void_ones_are_in_no_sentence(shown):
    networks, by_id, _, blocks = shown
    if "passes" not in by_id:
        return
    lead = " ".join(blocks[0].texts)
    passes = {cell_text(row[0]): row for row in by_id["passes"].rows}
    for network, row in zip(networks, by_id["networks"].rows, strict=True):
        place = titles(by_id["networks"]).index("time")
        wall = cell_text(passes[network.name][2])
        assert cell_text(row[place]) == wall == seconds(network.measurement.pass_timing.median_s)
        if network.measurement.quality == "void":
            assert wall not in lead
            assert as_cell(row[place]).tone == as_cell(passes[network.name][0]).tone == "void"
            assert as_cell(row[place]).value is None
        elif network.index == 0:
            assert f"time {wall}" in lead
