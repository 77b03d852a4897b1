"""Which jobs of a sweep wait, are sent together, and are given up. No Dask."""

from __future__ import annotations

from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.cluster.job_queue import Task, Tasks
from analyzer.sweeps.run_locally import CHUNK, MAX_KILLED, Job


def jobs(number: int, model: str = "nin", **changes: object) -> list[Job]:
    return [
        (f"{model}-{batch}", Case(model, configuration=Configuration(batch=batch)).replace(**changes))
        for batch in range(1, number + 1)
    ]


def test_counts_of_a_builtin_network_are_sent_together_and_in_order():
    tasks = Tasks([*jobs(1000), *jobs(5, "alexnet")], "run")
    (group,) = tasks.to_send()
    sizes, keys = [], []
    while group.waiting:
        taken = tasks.take(group, slots=4)
        assert len({case.model for _, case in taken}) == 1
        sizes.append(len(taken))
        keys += [key for key, _ in taken]
    assert sizes[0] == CHUNK
    assert sizes[-5:] == [1] * 5  # At the end every worker has something to do.
    assert keys == [key for key, _ in [*jobs(1000), *jobs(5, "alexnet")]]


def test_models_by_reference_and_times_are_sent_alone():
    for waiting in (jobs(1000, "net.py:Net"), jobs(1000, measure=("time",))):
        tasks = Tasks(waiting, "run")
        (group,) = tasks.to_send()
        assert len(tasks.take(group, slots=1)) == 1


def test_times_begin_when_nothing_is_left_to_count():
    tasks = Tasks([*jobs(3, measure=("time",)), *jobs(1)], "run")
    counts = next(tasks.to_send())
    assert not counts.timed
    tasks.add("first", Task(tasks.take(counts, 1), counts, None, ()))
    assert list(tasks.to_send()) == []
    tasks.remove("first")
    (times,) = tasks.to_send()
    assert times.timed
    assert tasks.waiting == 3


def test_jobs_that_may_have_ended_a_worker_are_sent_alone_and_given_up_in_the_end():
    tasks = Tasks(jobs(1000), "run")
    (group,) = tasks.to_send()
    sent = tasks.take(group, 4)
    tasks.add("first", Task(sent, group, None, ()))
    tasks.suspect(sent)
    tasks.wait_again("first", sent)
    assert [tasks.take(group, 4) for _ in sent] == [[job] for job in sent]
    assert len(tasks.take(group, 4)) == CHUNK
    assert [tasks.gives_up("nin-1") for _ in range(MAX_KILLED)] == [False] * (MAX_KILLED - 1) + [True]
