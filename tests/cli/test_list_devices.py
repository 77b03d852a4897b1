from __future__ import annotations

import json


def test_devices_with_their_figures_and_sources(analyze):
    listed = json.loads(analyze("list", "devices", "--format", "json").out)["devices"]
    assert len(listed) >= 40
    assert all(device["sources"] for device in listed)
    assert analyze("list", "devices", "h100 sxm").out == analyze("list", "devices", "*h100 sxm*").out
    (h100,) = [line for line in analyze("list", "devices", "*h100 sxm*").out.splitlines() if line.startswith("H100")]
    assert h100.split()[3:7] == ["67", "495", "989", "989"]


def test_a_pattern_that_matches_nothing(analyze):
    assert analyze("list", "devices", "abacus*").status == 2
