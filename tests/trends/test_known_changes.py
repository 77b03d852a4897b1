"""Which changes are new: not those that later runs moved by some runs."""

from __future__ import annotations

import pytest

from analyzer.trends.change_points import ChangePoint, Trend
from analyzer.trends.known_changes import new_changes, read_known, write_known
from analyzer.trends.series import build_series
from tests.trends.bench_files import points


def trend(after: int, size: float = 0.5, model: str = "net") -> Trend:
    (series,) = build_series(points([0.01] * 20, model))
    return Trend(series, (ChangePoint(after - 1, after, size, size, size),))


@pytest.mark.parametrize(
    ("now", "is_new"),
    [(trend(10), False), (trend(13), False), (trend(14), True), (trend(10, -0.5), True), (trend(10, model="b"), True)],
)
def test_a_change_is_known_by_series_position_and_direction(tmp_path, now, is_new):
    path = tmp_path / "folder" / "known.json"
    assert read_known(path) == ()
    write_known(path, [trend(10)], ())
    assert bool(new_changes(now, read_known(path))) == is_new


def test_known_changes_of_other_series_are_kept(tmp_path):
    path = tmp_path / "known.json"
    write_known(path, [trend(10)], ())
    write_known(path, [trend(10, model="b"), trend(11)], read_known(path))
    assert [change.series[0] for change in read_known(path)] == ["net", "b"]
