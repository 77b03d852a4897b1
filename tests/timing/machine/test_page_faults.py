"""Page faults of a pass: counted by the system, told in words where they are a part of the time."""

from __future__ import annotations

import resource
from types import SimpleNamespace

import pytest

from analyzer.timing.machine.page_faults import KEEPS, Paging, remark

GLIBC = {"system": {"os": "Linux"}, "allocator": "the system's", "environment": {"OMP_NUM_THREADS": "2"}}
MUCH = {"faults": 33_000, "system_share": 0.084}


def test_faults_are_a_passs_and_time_is_of_all(monkeypatch):
    """Two passes: 100 and 300 faults, 1 and 2 ms of the system beside 4 and 3 ms of their own: 3 of 10 ms."""
    looks = iter(
        SimpleNamespace(ru_minflt=faults, ru_utime=own * 1e-3, ru_stime=system * 1e-3)
        for faults, own, system in ((10, 0, 0), (110, 4, 1), (110, 5, 1), (410, 8, 3))
    )
    monkeypatch.setattr(resource, "getrusage", lambda who: next(looks))
    paging = Paging()
    assert [paging.watched(lambda: 0.5), paging.watched(lambda: 0.6)] == [0.5, 0.6]
    assert paging.told() == {"faults": 200, "system_share": pytest.approx(0.3)}
    assert Paging().told() == {}


def test_what_else_the_system_does_for_a_model_is_no_page_fault(monkeypatch):
    """150 faults and 96 ms of the system, as of a model that forks: 20 us a fault, 3 ms of 100, are the most."""
    looks = iter(SimpleNamespace(ru_minflt=f, ru_utime=0.004 * f / 150, ru_stime=0.096 * f / 150) for f in (0, 150))
    monkeypatch.setattr(resource, "getrusage", lambda who: next(looks))
    paging = Paging()
    paging.watched(lambda: 0.1)
    assert paging.told()["system_share"] == pytest.approx(150 * 20e-6 / 0.1)


def test_a_notable_part_is_said_with_the_way_out():
    (said,) = remark([MUCH], GLIBC)
    assert said == (
        "the system took 8 % of the processors' time, with 33,000 page faults a pass: memory that a pass gives back is "
        f"fetched anew in the next; {KEEPS} in the environment keeps it"
    )


@pytest.mark.parametrize(
    "environment",
    [
        {**GLIBC, "environment": {"MALLOC_ARENA_MAX": "1"}},
        {**GLIBC, "allocator": "jemalloc"},
        {**GLIBC, "system": {"os": "Darwin"}},
        {},
    ],
)
def test_no_way_out_is_named_where_we_know_none(environment):
    (said,) = remark([MUCH], environment)
    assert said.endswith("fetched anew in the next")


@pytest.mark.parametrize("told", [[], [{}], [{**MUCH, "system_share": 0.02}], [{**MUCH, "faults": 50}]])
def test_little_is_not_said(told):
    assert remark(told, GLIBC) == []
