"""Counts of variants and operators are those of the file with every supported release of torch."""

from __future__ import annotations

import json

import pytest

from benchmarks.torch_releases import FILE, count_operators, count_torchvision, count_variants

EXPECTED = json.loads(FILE.read_text(encoding="utf-8"))


def test_operators():
    counted = count_operators()
    assert len(counted) > 200
    assert counted == EXPECTED["operators"]


def test_variants():
    assert count_variants() == EXPECTED["variants"]


@pytest.mark.slow
def test_networks_of_torchvision():
    pytest.importorskip("torchvision")
    assert count_torchvision() == EXPECTED["torchvision"]
