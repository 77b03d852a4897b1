"""Split."""

from __future__ import annotations

from analyzer.core.frozen import Frozen
from analyzer.history.change_points import Change
from analyzer.history.series import Series


class Trend(Frozen):
    """A series and where it changed. `searched` is why it was not looked through, if it was not."""

    series: Series
    changes: tuple[Change, ...] = ()
    unsearched: str = ""


class History(Frozen):
    """All that is shown. `runs` is how many files stand behind it."""

    metric: str
    trends: tuple[Trend, ...]
    runs: int
    notes: tuple[str, ...] = ()
