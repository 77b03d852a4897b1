"""The section History: runs of one configuration, their changes, and what is left out."""

from __future__ import annotations

import pytest

from reports.page.context import Chart, flat
from reports.page.network_views import network_views
from reports.page.sections import history
from reports.table import cell_text
from tests.timed_records import MACHINE, timed


def runs(times: list[float], **more) -> list:
    return [
        timed("nin", slower=slower, kernels=False, **more).replace(
            created=f"2026-01-{day + 1:02}T00:00:00+00:00", commit=f"{day:040x}"
        )
        for day, slower in enumerate(times)
    ]


def section(*records):
    return history.section(network_views(records))


def charts(section) -> list[Chart]:
    return [block for block in flat(section.blocks) if isinstance(block, Chart)]


def test_three_runs_of_one_configuration_make_a_history():
    assert section(*runs([1, 1])).blocks == ()
    assert section(*runs([1, 1]), timed("nin", batch=4).replace(created="2026-01-09T00:00:00+00:00")).blocks == ()
    (chart,) = charts(section(*runs([1, 1.5, 1])))
    x, y = (chart.figure["data"][0][axis] for axis in "xy")
    assert (list(x), y[0], y[2]) == ([1, 2, 3], 1, 1)
    assert y[1] == pytest.approx(1.5, rel=0.05)  # The overhead is the same in all.
    assert chart.marks == 3
    assert [cell_text(row[1]) for row in chart.table.rows] == [f"2026-01-0{day}T00:00" for day in (1, 2, 3)]


def test_runs_are_in_the_order_of_their_dates():
    (chart,) = charts(section(*reversed(runs([1, 2, 3]))))
    assert chart.figure["data"][0]["y"][0] == 1
    assert chart.figure["data"][0]["y"] == sorted(chart.figure["data"][0]["y"])


def test_environments_are_apart_and_void_times_left_out():
    other = {**MACHINE, "processor": {**MACHINE["processor"], "model": "Another"}}
    made = section(*runs([1, 1, 1]), *runs([2, 2, 2], environment=other), *runs([9], quality="void"))
    assert [chart.marks for chart in charts(made)] == [3, 3]
    assert [chart.title.rpartition(", ")[2] for chart in charts(made)] == ["environment 1 of 2", "environment 2 of 2"]


def test_a_lasting_change_is_named_with_its_commits():
    pytest.importorskip("ruptures")
    noise = [1, 1.01, 0.99, 1.005, 0.995, 1.01, 1, 0.99]
    made = section(*runs([*noise, *(1.5 * level for level in noise)]))
    text = str(vars(made.blocks[0])["texts"])
    assert "+4" in text
    assert "between 00000000 and 00000000" in text
    assert charts(made)[0].summary.startswith("1 lasting change ")
