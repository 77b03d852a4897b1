"""Answers of fresh processes made into one measurement: clean samples, in order, and the quality on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any, TypeAlias, get_args

import numpy as np

from analyzer.core.units import seconds
from analyzer.records.timings import PRECISE, UNRESOLVED_S, Kind, Measurement, Quality, Timing
from analyzer.timing.driver.processes import FAILED, Answer
from analyzer.timing.machine.page_faults import remark
from analyzer.timing.request import Request
from analyzer.timing.statistics import Lot, bootstrap, doubts

Samples: TypeAlias = list[tuple[Any, str | None]]  # Each with why it is dirty, or None.

NOISY_SHARE = 0.3  # Of samples that were void and had to be taken again.
VOID_SHARE = 0.9  # Then the few that seem clean are those in which nothing was noticed.
SLOWED = (
    0.2  # Of the fixed work's quickest tenth: how much longer its median may be. docs/timing.md says what above was.
)
QUALITIES = get_args(Quality)  # From the best.
FEW = 10  # Too few of these to have a tenth.
LAUNCH_BOUND = 0.95  # Of a pass: what the device needs alone, at most; or what the host took to issue it, at least.
LATE = (
    "its parts hold waiting for the host too: the pass could not be issued before the device came to it, since it "
    "waits for the device itself, or is longer than the device's queue"
)


def measurement(request: Request, answers: Sequence[Answer]) -> Measurement:
    """The timings of one measurement. Samples that were dirty are left out, unless too few clean ones remain."""
    started = [answer for answer in answers if _samples(answer, "whole")]
    failed = next((answer for answer in answers if answer.end in FAILED), None)
    unfinished = [answer for answer in answers if answer.end not in ("done", *FAILED)]
    if not started:
        early = failed or (unfinished or [Answer((), "lost", "it was not measured")])[0]
        status = {"interrupted": "partial", **dict.fromkeys(FAILED, "failed")}.get(early.end, "lost")
        return Measurement(request.configuration, (), "void", early.reason, status)  # type: ignore[arg-type]
    whole = [_samples(answer, "whole") for answer in started]
    quality, reason = judged(whole, request.fewest, [_samples(answer, "reference") for answer in started])
    ok = _trusted(whole, quality)
    timings = [_timing("", "", 1, "whole", "pass", [_kept(lot, ok) for lot in whole], quality, reason)]
    own, kept, cut = quality, ok, started
    if held := [answer for answer in started if _samples(answer, "device") and not _late(answer)]:
        alone, kept = _alone(request, held)
        timings.append(alone)
        own, cut = alone.quality, held
    parts, note = _parts(cut, kept, own)
    timings += parts
    references = [_kept(_samples(answer, "reference"), ok) for answer in started]
    if any(references):
        timings.append(_timing("", "reference", 1, "reference", "pass", references, quality, ""))
    for event in ("kernels", "replay"):
        timings += _others(started, event, own)
    reasons = [answer.reason for answer in [*unfinished, *([failed] if failed else [])]]
    return _each_judged(
        Measurement(
            request.configuration,
            tuple(timings),
            quality,
            reason,
            "partial" if reasons else "ok",
            (*reasons, *([note] if note else []), *_beside(started, timings)),
        )
    )


def _alone(request: Request, answers: Sequence[Answer]) -> tuple[Timing, set[bool]]:
    """A device's own time, with the quality that its parts have too, and which samples of these are kept."""
    alone, cuts = ([_samples(answer, arm) for answer in answers] for arm in ("device", "cut"))
    found = judged(alone, request.fewest)
    seen = disturbed(cuts, request.fewest) if any(cuts) else found
    worse = max(found, seen, key=lambda one: QUALITIES.index(one[0]))
    lots = [_kept(lot, _trusted(alone, found[0])) for lot in alone]
    return _timing("", "", 1, "device", "pass", lots, *worse), _trusted(cuts, seen[0])


def _trusted(lots: Sequence[Samples], quality: Quality) -> set[bool]:
    """Whether clean samples, disturbed ones or both are kept: of what is void all are shown."""
    return {dirty is None for lot in lots for _, dirty in lot} if quality == "void" else {True}


def _late(answer: Answer) -> bool:
    """Whether a process could not issue its cut passes ahead of the device."""
    return (answer.of("done") or {}).get("ahead") is False


def _each_judged(measurement: Measurement) -> Measurement:
    """No part is trusted more than its pass is; of a trusted pass each is trusted that is known as well."""
    if measurement.trust[0] != "trusted":
        return measurement
    parts, doubt = measurement.parts, doubts(measurement)

    def judged(one: Timing) -> Timing:
        unsure = doubt([one]) if parts.get(one, 0.0) >= UNRESOLVED_S else None
        if unsure is None or unsure <= PRECISE * parts[one]:
            return one
        return one.replace(quality="noisy", reason=f"± {100 * unsure / parts[one]:.1f} %")

    return measurement.replace(timings=tuple(map(judged, measurement.timings)))


def _parts(answers: Sequence[Answer], ok: set[bool], quality: Quality) -> tuple[list[Timing], str]:
    """The tiles and gaps of all processes; none, and why, of a model whose passes are not all of the same operators."""
    told = [answer.of("keys") or {"keys": [], "note": ""} for answer in answers]
    keys = told[0]["keys"]
    note = next((one["note"] for one in told if one["note"]), "")
    if not note and any(one["keys"] != keys for one in told):
        note = "not cut into operators: they change from process to process"
    if note:
        return [], note
    passes = [_kept(_samples(answer, "cut"), ok) for answer in answers]
    found = []
    for index, (phase, path, op, call) in enumerate(keys):
        kind: Kind = "gap" if op == "gap" else "tile"
        lots = [[seconds[index] for seconds in lot] for lot in passes]
        if any(lots):
            found.append(_timing(path, op, call, kind, phase, lots, quality, ""))
    return found, ""


def judged(lots: Sequence[Samples], fewest: int, beside: Sequence[Samples] = ()) -> tuple[Quality, str]:
    """Trusted, noisy or void, and why: from how many samples were dirty, and how well the median is known.

    `beside` are samples of a fixed piece of work in the same processes: where these lie apart too, it is the machine.
    """
    quality, reason = disturbed(lots, fewest)
    if quality == "trusted":
        quality, reason = _known(lots, beside)
    return (quality, reason) if quality != "trusted" else _slowed(beside)


def disturbed(lots: Sequence[Samples], fewest: int) -> tuple[Quality, str]:
    """The same of what was seen of neighbours alone."""
    taken = sum(map(len, lots))
    why = Counter(dirty for lot in lots for _, dirty in lot if dirty)
    dirty = why.total()
    most = f"{why.most_common(1)[0][0]}" if why else ""
    if taken - dirty < fewest or dirty > VOID_SHARE * taken:
        return "void", f"{dirty} of {taken} samples were disturbed: {most}" if dirty else f"only {taken} samples"
    if dirty > NOISY_SHARE * taken:
        return "noisy", f"{dirty} of {taken} samples were disturbed and left out: {most}"
    return "trusted", ""


def _known(lots: Sequence[Samples], beside: Sequence[Samples]) -> tuple[Quality, str]:
    """Whether the median is known to PRECISE. One process, where others were disturbed, agrees with nobody."""
    clean, took = _clean(lots), sum(map(bool, lots))
    if len(clean) == 1 < took:
        return "noisy", f"only one of {took} processes had clean samples"
    low, high = bootstrap(clean)
    middle = float(np.median(np.concatenate(clean)))
    if high - low <= 2 * PRECISE * middle:
        return "trusted", ""
    doubt = f"± {100 * (high - low) / 2 / middle:.1f} %"
    if len(clean) == 1:
        return "noisy", f"{doubt}: so far do the samples of its one process scatter"
    fixed = f", those of fixed work beside them {_apart(_clean(beside))}" if any(beside) else ""
    return "noisy", f"{doubt}: the medians of {len(clean)} processes lie {_apart(clean)} apart{fixed}"


def _slowed(beside: Sequence[Samples]) -> tuple[Quality, str]:
    """Whether the machine was mostly as fast as it was at times.

    A neighbour in another virtual machine slows all passes of a run alike: they agree, and another hour says otherwise.
    Only the same work shows that, and not even it where the machine was equally slow from start to end.
    """
    clean = _clean(beside)
    fixed = np.concatenate(clean) if clean else np.array([])
    if fixed.size < FEW:
        return "trusted", ""
    over = float(np.median(fixed) / np.quantile(fixed, 0.1)) - 1
    if over <= SLOWED:
        return "trusted", ""
    return (
        "noisy",
        f"fixed work beside it took {100 * over:.1f} % longer than its quickest tenth: the machine was slowed",
    )


def _clean(lots: Sequence[Samples]) -> list[Lot]:
    """The clean samples of each process that has some."""
    found = [np.array([seconds for seconds, dirty in lot if dirty is None]) for lot in lots]
    return [lot for lot in found if lot.size]


def _apart(lots: Sequence[Lot]) -> str:
    """The highest of their medians ÷ the lowest, less 1."""
    medians = [float(np.median(lot)) for lot in lots]
    return f"{100 * (max(medians) / min(medians) - 1):.1f} %" if medians and min(medians) > 0 else "0.0 %"


def _samples(answer: Answer, arm: str) -> Samples:
    lots = [line["samples"] for line in answer.lines if line["event"] == "samples"]
    return [(seconds, dirty) for lot in lots for name, seconds, dirty in lot if name == arm]


def _kept(lot: Sequence[tuple[Any, str | None]], clean: set[bool]) -> list[Any]:
    return [seconds for seconds, dirty in lot if (dirty is None) in clean]


def _timing(
    path: str, op: str, call: int, kind: Kind, phase: Any, lots: Sequence[Sequence[float]], quality: Quality, why: str
) -> Timing:
    flat = tuple(round(max(seconds, 0.0), 9) for lot in lots for seconds in lot)
    return Timing(path, op, call, kind, phase, flat, quality, why, tuple(len(lot) for lot in lots if lot))


def _others(answers: Sequence[Answer], event: str, quality: Quality) -> list[Timing]:
    """Kernels and replays, which are told as finished lists: the same thing of several processes is one timing."""
    merged: dict[tuple[Any, ...], list[list[float]]] = {}
    for answer in answers:
        for path, op, call, kind, phase, samples in (answer.of(event) or {event: []})[event]:
            merged.setdefault((path, op, call, kind, phase), []).append(samples)
    return [
        _timing(path, op, call, kind, phase, lots, quality, "")
        for (path, op, call, kind, phase), lots in merged.items()
    ]


def _beside(answers: Sequence[Answer], timings: Sequence[Timing]) -> list[str]:
    """What processes that ended well saw beside the passes: launches of a device, page faults."""
    done = [line for answer in answers if (line := answer.of("done"))]
    ready = next((line for answer in answers if (line := answer.of("ready"))), {})
    shares = [line["launch_share"] for line in done if line["launch_share"] is not None]
    late = sum(map(_late, answers))
    some = f"{late} of {len(answers)} processes could not be ahead of the device, and are left out of it and its parts"
    told = [some if any(one.kind == "device" for one in timings) else LATE] if late else []
    return [*_launches(shares, timings), *told, *remark(done, ready.get("environment", {}))]


def _launches(shares: Sequence[float], timings: Sequence[Timing]) -> list[str]:
    """Whether a device waits for its host; from its own time where that is known."""
    by = {one.kind: one.median_s for one in timings if one.kind in ("whole", "device")}
    if "device" in by:
        if by["device"] >= LAUNCH_BOUND * by["whole"]:
            return []
        found = f"the device alone needs {seconds(by['device'])} of {seconds(by['whole'])}"
    elif shares and median(shares) >= LAUNCH_BOUND:
        found = f"the host took {100 * median(shares):.0f} % of the device's time to issue the pass"
    else:
        return []
    return [f"bound by launches: {found}; a larger batch, or --compile, gives the device more to do at once"]
