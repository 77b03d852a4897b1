"""Answers become a measurement: clean samples in order, a quality with its reason, and what went wrong beside what stands."""

from __future__ import annotations

import random
import re

import pytest

from analyzer.records.timings import Configuration
from analyzer.timing.driver.processes import Answer, ask_all
from analyzer.timing.driver.results import disturbed, judged, measurement
from analyzer.timing.request import Request

REQUEST = Request(Configuration(), variant="googlenet", fewest=3)
KEYS = [["forward", "conv", "conv2d", 1], ["forward", "", "gap", 1]]


def answer(whole, cut=(), end="done", reason="", note="", launch=None, **beside):
    lot = [["whole", seconds, dirty] for seconds, dirty in whole] + [["cut", list(parts), None] for parts in cut]
    lines = [
        {"event": "ready", "record": None, "environment": {"system": {"os": "Linux"}, "allocator": "the system's"}},
        {"event": "keys", "keys": KEYS if cut else [], "warm_up_s": [], "note": note},
        {"event": "samples", "samples": lot},
    ]
    if end == "done":
        lines.append({"event": "done", "launch_share": launch, **beside})
    return Answer(tuple(lines), end, reason)


def clean(*seconds):
    return [(one, None) for one in seconds]


def test_samples_of_processes_stand_one_after_the_other():
    made = measurement(REQUEST, [answer(clean(1.01, 1.01)), answer(clean(1.02, 1.0, 1.01))])
    assert made.whole.samples_s == (1.01, 1.01, 1.02, 1.0, 1.01)
    assert made.whole.processes == (2, 3)
    assert (made.quality, made.status) == ("trusted", "ok")


def test_parts_add_up_to_a_pass():
    cuts = [(0.6, 0.4), (0.7, 0.4), (0.8, 0.4), (9.0, 9.0)]
    made = measurement(REQUEST, [answer(clean(1.0, 1.0, 1.0, 1.0), cuts)])
    parts = {one.op: seconds for one, seconds in made.parts.items()}
    # The middle half of four passes is the second and third: (0.7 + 0.8) / 2 and 0.4.
    assert parts == pytest.approx({"conv2d": 0.75, "gap": 0.4})


def test_dirty_samples_are_left_out():
    made = measurement(REQUEST, [answer([*clean(*[1.0] * 9), (5.0, "another process was running")])])
    assert made.whole.samples_s == (1.0,) * 9
    assert made.quality == "trusted"


def test_many_dirty_samples_are_noise_and_too_many_are_void():
    dirty = [(5.0, "another process was running")] * 4
    noisy = measurement(REQUEST, [answer([*clean(1.0, 1.0, 1.0, 1.0), *dirty])])
    assert (noisy.quality, noisy.reason) == (
        "noisy",
        "4 of 8 samples were disturbed and left out: another process was running",
    )
    void = measurement(REQUEST, [answer([*clean(1.0, 1.0), *dirty])])
    assert (void.quality, void.reason) == ("void", "4 of 6 samples were disturbed: another process was running")
    assert len(void.whole.samples_s) == 6  # Shown all the same, as void.


def test_a_tenth_of_clean_samples_is_the_least():
    """Eight of 7,092 samples seem clean, as happened beside a busy neighbour: chance, and no figure."""
    dirty = [(5.0, "another process was running")]
    assert judged([[*clean(*[1.0] * 8), *dirty * 7084]], fewest=3)[0] == "void"
    assert judged([[*clean(*[1.0] * 8), *dirty * 73]], fewest=3)[0] == "void"
    assert judged([[*clean(*[1.0] * 8), *dirty * 72]], fewest=3)[0] == "noisy"


def test_processes_that_lie_apart_are_noise():
    """Medians of two draws are 1.0, 1.05, 1.05 and 1.1: they scatter by 0.0354, of which 17.97 are unsure: 61 %."""
    quality, reason = judged([clean(1.0, 1.0, 1.0), clean(1.1, 1.1, 1.1)], fewest=3)
    assert quality == "noisy"
    assert re.fullmatch(r"± (59|60|61|62)\.\d %: the medians of 2 processes lie 10\.0 % apart", reason)
    assert judged([clean(1.0, 1.0, 1.0), clean(1.004, 1.004, 1.004)], fewest=3)[0] == "trusted"


def test_noise_says_whether_fixed_work_beside_it_moved_too():
    """1.1 against 1.0 s, and a reference of 2.4 ms against 2.0 in the same two processes: 20 % apart."""
    lots = [clean(1.0, 1.0, 1.0), clean(1.1, 1.1, 1.1)]
    _, reason = judged(lots, 3, [clean(0.0020, 0.0020), clean(0.0024, 0.0024)])
    assert reason.endswith("the medians of 2 processes lie 10.0 % apart, those of fixed work beside them 20.0 %")


def test_a_machine_that_was_slowed_all_the_while_is_noise_however_well_processes_agree():
    """Of 20 references a tenth lies below the second and third quickest, at 1.00 ms; the median is 1.20 or 1.22."""
    passes = [clean(1.0, 1.0, 1.0)] * 2
    quick, slow = clean(*[1.00e-3] * 3, *[1.20e-3] * 7), clean(*[1.20e-3] * 10)
    assert judged(passes, 3, [quick, slow]) == ("trusted", "")
    slower = clean(*[1.22e-3] * 10)
    quality, reason = judged(passes, 3, [clean(*[1.00e-3] * 3, *[1.22e-3] * 7), slower])
    assert quality == "noisy"
    assert reason == "fixed work beside it took 22.0 % longer than its quickest tenth: the machine was slowed"
    assert judged(passes, 3, [clean(1e-3, 2e-3, 2e-3, 2e-3)]) == ("trusted", "")  # Too few to have a tenth.
    disturbed = [(9e-3, "another process was running")] * 99
    assert judged(passes, 3, [[*quick, *disturbed], slow]) == ("trusted", "")  # Those are void.


def test_more_processes_bear_one_that_lies_apart():
    """Drawn ten times of ten the odd one is rarely in the middle; of three it is drawn twice or more in 7 cases of 27:
    medians scatter by 0.13, of which 5.27 are unsure."""
    even = [1.00, 1.01, 1.02, 1.00, 1.01, 1.02, 1.00, 1.01, 1.02]
    lots = [clean(one, one, one) for one in (1.30, *even)]
    assert judged(lots, 3) == ("trusted", "")
    quality, reason = judged(lots[:3], 3)
    assert quality == "noisy"
    assert re.fullmatch(r"± 6\d\.\d %: the medians of 3 processes lie 30\.0 % apart", reason)


def test_of_one_process_its_own_samples_are_all_that_is_known():
    """Of 1.0, 1.5 and 2.0 medians scatter by 0.36, of which 5.27 are unsure: 126 % of 1.5. Where more processes ran and
    the others were disturbed there is nobody that it agrees with."""
    assert judged([clean(*[1.0] * 9, 1.5)], 3) == ("trusted", "")
    quality, reason = judged([clean(1.0, 1.5, 2.0)], 3)
    assert quality == "noisy"
    assert re.fullmatch(r"± 12\d\.\d %: so far do the samples of its one process scatter", reason)
    lots = [clean(*[1.0] * 9), [(1.0, "another process was running")]]
    assert judged(lots, 3) == ("noisy", "only one of 2 processes had clean samples")
    assert disturbed(lots, 3) == ("trusted", "")


def test_a_part_on_which_processes_disagree_is_noisy_in_a_trusted_cell():
    """Passes of 1 s everywhere, of which the first process has 0.6 in conv and the second 0.4: means of two draws are
    0.4, 0.5, 0.5 and 0.6, which scatter by 0.0707, of which 17.97 are unsure: 254 % of 0.5. The gap is 0.4 and 0.6 s.
    Of a measurement that is not trusted nothing more is said."""
    lots = [clean(*[1.0] * 4)] * 2
    made = measurement(REQUEST, [answer(lots[0], [(0.6, 0.4)] * 4), answer(lots[1], [(0.4, 0.6)] * 4)])
    assert (made.quality, made.reason) == ("trusted", "")
    conv, gap = made.parts
    assert conv.quality == "noisy"
    assert re.fullmatch(r"± 2[45]\d\.\d %", conv.reason)
    assert gap.quality == "noisy"
    assert made.whole.quality == "trusted"
    agreed = measurement(REQUEST, [answer(lots[0], [(0.6, 0.4)] * 4), answer(lots[1], [(0.601, 0.399)] * 4)])
    assert [one.quality for one in agreed.parts] == ["trusted", "trusted"]
    noisy = measurement(
        REQUEST, [answer(clean(*[1.0] * 4), [(0.6, 0.4)] * 4), answer(clean(*[1.2] * 4), [(0.6, 0.6)] * 4)]
    )
    assert {one.quality for one in noisy.timings} == {"noisy"}
    assert {one.reason for one in noisy.parts} == {""}


def test_a_cell_that_never_began_says_why():
    failed = measurement(REQUEST, [Answer((), "failed", "out of memory at batch 512")])
    assert (failed.status, failed.quality, failed.reason) == ("failed", "void", "out of memory at batch 512")
    lost = measurement(REQUEST, [Answer((), "lost", "its process was killed by signal 9")])
    assert (lost.status, lost.whole) == ("lost", None)
    assert measurement(REQUEST, []).reason == "it was not measured"


def test_what_one_process_told_stands_when_the_next_is_lost():
    made = measurement(
        REQUEST, [answer(clean(1.0, 1.0, 1.0)), Answer((), "lost", "its process was killed by signal 9")]
    )
    assert made.status == "partial"
    assert made.whole.samples_s == (1.0, 1.0, 1.0)
    assert "its process was killed by signal 9" in made.warnings


def test_a_pass_bound_by_launches_is_flagged():
    made = measurement(REQUEST, [answer(clean(1.0, 1.0, 1.0), launch=0.97)])
    assert "bound by launches: the host took 97 %" in made.warnings[0]
    assert not measurement(REQUEST, [answer(clean(1.0, 1.0, 1.0), launch=0.5)]).warnings


def test_what_a_device_needs_alone_says_better_whether_launches_bind_it():
    def timed(whole, device, **beside):
        lines = [{"event": "samples", "samples": [["whole", whole, None], ["device", device, None]] * 3}]
        done = {"event": "done", "launch_share": 0.99, **beside}
        return measurement(REQUEST, [Answer((*lines, done), "done")])

    made = timed(4e-3, 1e-3, ahead=True)
    assert made.warnings == (
        "bound by launches: the device alone needs 1.000 ms of 4.000 ms; a larger batch, or --compile, gives the "
        "device more to do at once",
    )
    assert (made.uncut.kind, made.uncut.median_s) == ("device", 1e-3)
    assert made.trust == ("trusted", "")
    assert timed(4e-3, 3.9e-3).warnings == ()  # It is busy, though the host has no time to spare either.
    assert "could not be issued before the device came to it" in timed(4e-3, 3.9e-3, ahead=False).warnings[-1]


def test_a_device_is_sure_of_its_own_time_where_launches_are_not():
    def process(whole):
        lot = [sample for _ in range(4) for sample in (["whole", whole, None], ["device", 1e-3, None])]
        cuts = [["cut", [0.6e-3, 0.4e-3], None]] * 4
        keys = {"event": "keys", "keys": KEYS, "warm_up_s": [], "note": ""}
        return Answer((keys, {"event": "samples", "samples": lot + cuts}), "done")

    made = measurement(REQUEST, [process(4e-3), process(6e-3), process(5e-3)])
    assert made.quality == "noisy"
    assert made.trust == ("trusted", "")
    assert {one.quality for one in made.parts} == {"trusted"}
    assert made.of("device")[0].quality == "trusted"


def test_of_a_device_its_own_samples_are_kept_whatever_became_of_the_whole_ones():
    def made(whole_dirty, device_dirty, ahead=True):
        lot = [sample for _ in range(4) for sample in (["whole", 4e-3, whole_dirty], ["device", 1e-3, device_dirty])]
        done = {"event": "done", "launch_share": None, "ahead": ahead}
        return measurement(REQUEST, [Answer(({"event": "samples", "samples": lot}, done), "done")])

    busy = "another process used the GPU"
    only_whole, only_device = made(None, busy), made(busy, None)
    assert (only_whole.quality, only_whole.trust[0]) == ("trusted", "void")
    assert len(only_whole.of("device")[0].samples_s) == 4  # Shown all the same, as void.
    assert (only_device.quality, only_device.trust) == ("void", ("trusted", ""))
    assert len(only_device.of("device")[0].samples_s) == 4
    assert made(None, None, ahead=False).of("device") == ()  # Parts that wait for the host do not add up to it.


def in_time(cuts, ahead=True):
    """A process of five whole passes of 4 ms, five of 1 ms of the device alone, and cut ones, some late."""
    lot = [sample for _ in range(5) for sample in (["whole", 4e-3, None], ["device", 1e-3, None])]
    lot += [["cut", [0.6e-3, 0.4e-3], dirty] for dirty in cuts]
    keys = {"event": "keys", "keys": KEYS, "warm_up_s": [], "note": ""}
    done = {"event": "done", "launch_share": None, "ahead": ahead}
    return Answer((keys, {"event": "samples", "samples": lot}, done), "done")


def test_parts_of_a_device_are_trusted_no_more_than_their_own_samples_allow():
    late = "the host did not issue it in time"
    some, most, every = (measurement(REQUEST, [in_time([None] * (5 - n) + [late] * n)]) for n in (2, 4, 5))
    assert some.trust == ("noisy", f"2 of 5 samples were disturbed and left out: {late}")
    assert len(some.of("tile")[0].samples_s) == 3
    assert most.trust == ("void", f"4 of 5 samples were disturbed: {late}")
    assert every.trust == ("void", f"5 of 5 samples were disturbed: {late}")
    assert len(every.of("tile")[0].samples_s) == 5  # Shown all the same, as void.
    assert {one.quality for one in every.parts} == {"void"}


def test_processes_that_were_late_are_left_out_of_a_device_and_its_parts():
    made = measurement(REQUEST, [in_time([None] * 5), in_time([None] * 40, ahead=False)])
    assert len(made.of("device")[0].samples_s) == len(made.of("tile")[0].samples_s) == 5
    assert len(made.whole.samples_s) == 10
    assert made.warnings[-1].startswith("1 of 2 processes could not be ahead of the device")


def test_memory_that_is_fetched_anew_each_pass_is_said():
    lots = [answer(clean(1.0, 1.0, 1.0), faults=faults, system_share=0.08) for faults in (31000, 33000, 35000)]
    (said,) = measurement(REQUEST, lots).warnings
    assert said.startswith("the system took 8 % of the processors' time, with 33,000 page faults a pass: ")
    assert "MALLOC_MMAP_MAX_=0" in said


class Asked:
    def __init__(self, ends):
        self.ends, self.seeds, self.order = list(ends), [], []

    def __call__(self, request):
        self.order.append(request.label)
        self.seeds.append(request.seed)
        end = self.ends.pop(0)
        if end == "interrupt":
            raise KeyboardInterrupt
        return Answer((), end)


def rounds(ends, measurements=2, count=3):
    asked = Asked(ends)
    wanted = [Request(Configuration(batch=n + 1), variant=f"v{n}") for n in range(measurements)]
    answers, complete = ask_all(wanted, rounds=count, least=count, order=random.Random(1), ask=asked)
    return asked, answers, complete


def test_every_cell_once_a_round_with_a_seed_of_its_own():
    asked, answers, complete = rounds(["done"] * 6)
    assert complete
    assert [len(own) for own in answers] == [3, 3]
    assert len(set(asked.seeds)) == 6
    assert all(sorted(asked.order[n : n + 2]) == ["v0", "v1"] for n in (0, 2, 4))


def test_what_stands_beside_the_times_is_asked_of_a_few_processes_and_a_trace_of_one_that_ended_well():
    requests, ends = [], ["lost", "done", "done", "done", "done"]

    def ask(request):
        requests.append(request)
        return Answer((), ends[len(requests) - 1])

    wanted = REQUEST.replace(kernels=True, replay=True, trace="t.json")
    ask_all([wanted], rounds=5, least=5, order=random.Random(1), ask=ask)
    assert [one.kernels for one in requests] == [one.replay for one in requests] == [True] * 4 + [False]
    assert [one.trace for one in requests] == ["t.json", "t.json", None, None, None]


@pytest.mark.parametrize("vain", ["failed", "hung"])
def test_a_cell_that_failed_or_hung_is_not_asked_again(vain):
    _, answers, complete = rounds([vain, "done", "done", "done"])
    assert complete
    assert sorted(len(own) for own in answers) == [1, 3]


def test_an_interrupt_keeps_what_was_measured():
    _, answers, complete = rounds(["done", "done", "done", "interrupt"])
    assert not complete
    # Both lack a round: one was under way, the other was still to come.
    assert sorted([answer.end for answer in own] for own in answers) == [
        ["done", "done", "interrupted"],
        ["done", "interrupted"],
    ]


def test_a_cell_that_was_never_begun_says_that_it_was_interrupted():
    _, answers, complete = rounds(["interrupt"])
    assert not complete
    measurements = [measurement(REQUEST, own) for own in answers]
    assert [(one.status, one.reason) for one in measurements] == [("partial", "interrupted")] * 2


def test_an_interrupt_between_two_processes_loses_nothing():
    def tell(done, of, label):
        if done == 2:
            raise KeyboardInterrupt

    asked = Asked(["done"] * 2)
    answers, complete = ask_all([REQUEST], rounds=3, least=3, order=random.Random(1), ask=asked, tell=tell)
    assert not complete
    assert [answer.end for answer in answers[0]] == ["done", "done", "interrupted"]


def test_of_long_passes_fewer_processes_are_asked():
    """Ten processes of 2 s are a budget of 20 s, and three times that is the end: the fourth of 20 s is past it."""
    seconds = iter(range(0, 10_000, 20))  # Every look at the clock is 20 s after the last.
    wanted = [REQUEST.replace(budget_s=2.0)]
    asked = Asked(["done"] * 10)
    answers, complete = ask_all(
        wanted, rounds=10, least=3, order=random.Random(1), ask=asked, now=lambda: next(seconds)
    )
    assert complete
    assert len(answers[0]) == 4


def test_short_passes_have_all_their_processes_and_long_ones_the_least():
    for step, count in ((3, 10), (90, 3)):
        seconds = iter(range(0, 10_000, step))
        asked = Asked(["done"] * 10)
        answers, _ = ask_all(
            [REQUEST.replace(budget_s=2.0)],
            rounds=10,
            least=3,
            order=random.Random(1),
            ask=asked,
            now=lambda seconds=seconds: next(seconds),
        )
        assert len(answers[0]) == count


def test_an_interrupt_after_the_last_process_that_a_long_cell_gets_leaves_it_whole():
    def tell(done, of, label):
        if done == 5:
            raise KeyboardInterrupt

    seconds = iter(range(0, 10_000, 90))
    answers, complete = ask_all(
        [REQUEST.replace(budget_s=2.0)],
        rounds=10,
        least=3,
        order=random.Random(1),
        ask=Asked(["done"] * 10),
        tell=tell,
        now=lambda: next(seconds),
    )
    assert not complete
    assert [answer.end for answer in answers[0]] == ["done"] * 3
