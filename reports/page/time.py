"""Time, where records carry it: what FLOPs hide, parts that add up, kernels, the roofline, speed by setting."""

from __future__ import annotations

from collections.abc import Sequence

from reports.page.context import Section, Words
from reports.page.subjects import Subject

ADD = (
    "Nothing on this page was timed. analyze time --variant googlenet measures each module and keeps a record under "
    ".analyze/records; analyze report with that file shows it here."
)


def section(subjects: Sequence[Subject]) -> Section:
    return Section("time", "Time", "Time", "", (Words((ADD,), "notice"),))
