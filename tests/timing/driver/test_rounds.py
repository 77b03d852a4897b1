"""Order, retries, budgets and interrupts of worker processes, with a stand-in for the process."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from analyzer.records.timings import Configuration
from analyzer.timing.driver.build_measurement import build_measurement
from analyzer.timing.driver.processes import run_workers
from analyzer.timing.request import Request
from analyzer.worker.reply import Reply

REQUEST = Request(Configuration(), variant="googlenet", budget_s=2.0)


def interrupt():
    raise KeyboardInterrupt


class Worker:
    """Replies with one `end` after the other, without limit the last of them; sends `lines` before."""

    def __init__(self, *ends, lines=()):
        self.ends, self.requests, self.lines = list(ends), [], lines

    def __call__(self, request, on_line):
        self.requests.append(request)
        for line in self.lines:
            on_line(line)
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        return interrupt() if end == "interrupt" else Reply((), end)


def run(worker, requests=1, processes=3, min_processes=None, **options):
    chosen = [REQUEST.replace(configuration=Configuration(batch=batch + 1)) for batch in range(requests)]
    order = random.Random(1)
    replies, complete = run_workers(
        chosen, processes=processes, min_processes=min_processes or processes, order=order, run_worker=worker, **options
    )
    return [[reply.end for reply in request_replies] for request_replies in replies], complete


def interrupt_at(step):
    return lambda done, total, label: interrupt() if done == step else None


def clock(step_s):
    """A clock that advances by `step_s` per reading, so that every process takes `step_s`."""
    return itertools.count(0, step_s).__next__


def samples_line(*passes_s):
    return json.dumps({"event": "samples", "samples": [["pass", pass_s, 0] for pass_s in passes_s]}).encode() + b"\n"


def test_only_the_first_process_of_a_request_shows_samples_as_they_come():
    """The median of 1 and 3 s, then also of 9 s. Other lines, and those cut off by a killed worker, are not read."""
    lines = [b'{"event": "ready"}\n', samples_line(1, 3), samples_line(9), samples_line(0)[:-9], samples_line(0)[:-1]]
    shown = []
    run(Worker("done", lines=lines), processes=2, progress=lambda done, total, label: shown.append((done, label)))
    estimates = [(done, label.partition(" so far")[0] if "so far" in label else "") for done, label in shown]
    assert estimates == [(0, ""), (0, "2.000 s"), (0, "3.000 s"), (1, "")]


def test_an_interrupt_while_samples_are_shown_keeps_every_reply():
    def progress(done, total, label):
        if "so far" in label:
            interrupt()

    assert run(Worker("done", lines=[samples_line(1)]), progress=progress) == ([["interrupted"]], False)


def test_every_round_runs_each_request_once_with_its_own_seed():
    worker = Worker("done")
    assert run(worker, requests=2) == ([["done"] * 3] * 2, True)
    batches = [request.configuration.batch for request in worker.requests]
    assert all(sorted(batches[start : start + 2]) == [1, 2] for start in (0, 2, 4))
    assert len({request.seed for request in worker.requests}) == 6


def test_three_completed_processes_profile_and_one_traces():
    worker = Worker("lost", "done")
    run_workers(
        [REQUEST.replace(kernels=True, replay=True, trace="t.json")],
        processes=5, min_processes=5, order=random.Random(1), run_worker=worker,
    )  # fmt: skip
    profiled = [(request.kernels, request.replay) for request in worker.requests]
    assert profiled == [(True, True)] * 4 + [(False, False)]
    assert [request.trace for request in worker.requests] == ["t.json", "t.json", None, None, None]


@pytest.mark.parametrize("end", ["failed", "refused", "hung"])
def test_a_request_that_failed_or_hung_is_not_repeated(end):
    assert run(Worker(end, "done"), requests=2)[0] in ([[end], ["done"] * 3], [["done"] * 3, [end]])


def test_a_lost_process_is_replaced_by_the_next_round():
    assert run(Worker("lost", "done")) == ([["lost", "done", "done"]], True)


@pytest.mark.parametrize(("process_s", "count"), [(3, 10), (20, 4), (90, 3)])
def test_long_passes_get_fewer_processes(process_s, count):
    """Ten processes have a budget of 10 x 2 s. After three budgets, 60 s, no more start; but at least three run."""
    ends, complete = run(Worker("done"), processes=10, min_processes=3, now=clock(process_s))
    assert (len(ends[0]), complete) == (count, True)


def test_an_interrupt_in_a_process_keeps_every_reply():
    ends, complete = run(Worker("done", "done", "done", "interrupt"), requests=2)
    assert not complete
    assert sorted(ends) == [["done", "done", "interrupted"], ["done", "interrupted"]]


def test_an_interrupt_between_processes_keeps_every_reply():
    assert run(Worker("done"), progress=interrupt_at(2)) == ([["done", "done", "interrupted"]], False)


def test_an_interrupt_after_the_last_process_of_a_long_request_leaves_it_complete():
    ends, complete = run(Worker("done"), processes=10, min_processes=3, progress=interrupt_at(5), now=clock(90))
    assert (ends, complete) == ([["done"] * 3], False)


def test_a_request_that_never_ran_is_partial():
    replies, _ = run_workers(
        [REQUEST], processes=3, min_processes=3, order=random.Random(1), run_worker=Worker("interrupt")
    )
    measurement = build_measurement(REQUEST, replies[0])
    assert (measurement.status, measurement.reason) == ("partial", "interrupted")


def test_a_journal_gets_the_replies_so_far_as_interrupted():
    journal = []
    run(Worker("done"), requests=2, processes=2, journal=lambda replies: journal.append(
        [[reply.end for reply in request_replies] for request_replies in replies]
    ))  # fmt: skip
    assert [sum(ends.count("done") for ends in entry) for entry in journal] == [1, 2, 3]
    assert all(ends == ["done", "done"] or ends[-1] == "interrupted" for entry in journal for ends in entry)
