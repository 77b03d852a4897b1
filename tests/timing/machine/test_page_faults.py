"""Page faults per pass, and the note if they take a notable share of the time."""

from __future__ import annotations

import resource
from types import SimpleNamespace

import pytest

from analyzer.timing.machine.page_faults import KEEP_MEMORY, PageFaults, page_fault_note

GLIBC = {"system": {"os": "Linux"}, "allocator": "the system's", "environment": {"OMP_NUM_THREADS": "2"}}
NOTABLE = {"faults": 33_000, "system_share": 0.084}


def fake_usage(monkeypatch, *usages):
    """Each usage is (faults, user ms, system ms)."""
    values = iter(
        SimpleNamespace(ru_minflt=faults, ru_utime=user * 1e-3, ru_stime=system * 1e-3)
        for faults, user, system in usages
    )
    monkeypatch.setattr(resource, "getrusage", lambda who: next(values))


def test_faults_are_per_pass_and_their_share_is_of_all_cpu_time(monkeypatch):
    # Two passes with 100 and 300 faults, 1 and 2 ms of system time, 4 and 3 ms of user time: 3 of 10 ms.
    fake_usage(monkeypatch, (10, 0, 0), (110, 4, 1), (110, 5, 1), (410, 8, 3))
    page_faults = PageFaults()
    assert [page_faults.count(lambda: 0.5), page_faults.count(lambda: 0.6)] == [0.5, 0.6]
    assert page_faults.summary() == {"faults": 200, "system_share": pytest.approx(0.3)}
    assert PageFaults().summary() == {}


def test_other_system_time_is_not_due_to_page_faults(monkeypatch):
    # 150 faults and 96 ms of system time, as of a model that forks: at most 20 µs per fault, 3 ms of 100.
    fake_usage(monkeypatch, (0, 0, 0), (150, 4, 96))
    page_faults = PageFaults()
    page_faults.count(lambda: 0.1)
    assert page_faults.summary()["system_share"] == pytest.approx(150 * 20e-6 / 0.1)


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        (GLIBC, True),
        ({**GLIBC, "environment": {"MALLOC_ARENA_MAX": "1"}}, False),
        ({**GLIBC, "allocator": "jemalloc"}, False),
        ({**GLIBC, "system": {"os": "Darwin"}}, False),
        ({}, False),
    ],
)
def test_the_note_has_the_share_and_for_glibc_the_remedy(environment, remedy):
    note, *remedies = page_fault_note([NOTABLE], environment)
    assert "8 %" in note
    assert "33,000" in note
    assert [KEEP_MEMORY in text for text in remedies] == [True] * remedy  # A note of its own: shown once per run.


@pytest.mark.parametrize("summaries", [[], [{}], [{**NOTABLE, "system_share": 0.02}], [{**NOTABLE, "faults": 50}]])
def test_a_small_share_has_no_note(summaries):
    assert page_fault_note(summaries, GLIBC) == []
