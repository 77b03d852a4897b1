"""Drawings of the paper's ideas show counted numbers, those of other networks too."""

import re

import pytest

from analyzer.claims import find
from analyzer.core.units import scaled
from analyzer.counting.api import count
from reports.page.figures import pictures
from reports.page.sections import pictures as drawings


def words(drawing: str) -> list[str]:
    return re.findall(r">([^<>]+)</text>", drawing)


@pytest.mark.parametrize("width", [16, 32])
def test_a_module_has_the_macs_of_its_layers_branches_and_whole(width):
    record = count("googlenet", overrides={"inception_4a.reduce_5x5": width})
    shown = words(pictures.module(record, "inception_4a", "branch_5x5"))
    reduce, conv = 14 * 14 * width * 480, 14 * 14 * 48 * 25 * width
    assert shown[shown.index(f"1x1 → {width}") + 1] == scaled(reduce)
    assert shown[shown.index("5x5 → 48") + 1] == scaled(conv)
    assert {scaled(reduce + conv), "concat to 512x14x14"} <= {*shown}


def test_the_heads_have_their_weights():
    pooled, connected = (
        words(drawing) for *_, drawing in drawings.heads(count("googlenet"), count("googlenet-fc-head")).drawings
    )
    assert "global pool: 50,176 → 1,024" in pooled
    assert "no weights" in pooled
    assert f"{7 * 7 * 1024 * 1024:,} weights" in connected


def test_layers_of_the_longest_path_are_numbered_and_heads_hang_where_they_read():
    numbers = pictures.layer_numbers(count("googlenet"))
    depth = find("22-layers").computed["depth_parametrised"]
    assert [number for numbers_ in numbers.values() for number in numbers_] == [*range(1, depth + 1)]
    assert numbers["inception_4a"] == [8, 9]
    ((title, text, drawing),) = drawings.path(count("googlenet"), count("googlenet", train=True)).drawings
    assert title.startswith("22 layers")
    assert "aux1 reads inception_4a and aux2 reads inception_4d" in text
    assert words(drawing).count("at inference: none") == 2
    assert "3.189 M params" in words(drawing)
