"""A time check as tables: a line a model with its change, bounds, own and wall time; or this machine's floor."""

from __future__ import annotations

import math

from analyzer.core.units import percent, seconds, signed_percent
from analyzer.regression.paired.result import Timed, Times
from reports.counting.network import MISSING
from reports.table import Cell, Column, Name, Table


def tables(times: Times) -> list[Table]:
    return [_self_test(times) if times.self_test else _check(times)]


def headline(times: Times) -> str:
    """`Time check failed: 1 regressed, 9 unchanged`."""
    outcomes = ["not measured" if one in times.unmeasured else one.outcome for one in times.timed]
    said = ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes))
    word = "failed" if times.failures else "incomplete" if times.unmeasured else "passed"
    return f"Time check {word}: {said}"


def line(one: Timed, times: Times) -> str:
    """`cpu_time 5.120 ms → 5.391 ms, +5.30 % (+3.91 to +6.72 %), 20 pairs, regressed`."""
    figures = [seconds(value) if value else "none" for value in (one.own_s(0), one.own_s(1))]
    change = signed_percent(one.estimate.centre) if one.estimate else "no change known"
    return f"{times.metric} {' → '.join(figures)}, {change} ({_bounds(one, times)}), {_pairs(one)} pairs, {one.outcome}"


def _check(times: Times) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            Name(one.model),
            _seconds(one.own_s(0)),
            _seconds(one.own_s(1)),
            signed_percent(one.estimate.centre) if one.estimate else MISSING,
            _bounds(one, times),
            MISSING if one.wall is None else f"{100 * one.wall:+.1f} %",
            _pairs(one),
            "not measured" if one in times.unmeasured else one.outcome,
        )
        for one in times.timed
    ]
    columns = (
        Column("model", "left"),
        Column("base"),
        Column("head"),
        Column("change"),
        Column("99 % bounds"),
        Column("wall"),
        Column("pairs"),
        Column("outcome", "left"),
    )
    return Table(headline(times), columns, tuple(rows), notes=(*_reasons(times), *_legend(times)))


def _self_test(times: Times) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in times.timed:
        floor = times.floor(one)
        spread = one.estimate.error * math.sqrt(one.estimate.pairs) if one.estimate else None
        fit = int(times.budget_s / one.first.pair_s) if one.first.pairs else 0
        rows.append(
            (
                Name(one.model),
                _seconds(one.own_s(0)),
                MISSING if spread is None else percent(spread),
                str(fit),
                "too few pairs" if floor is None else percent(floor),
                signed_percent(one.estimate.centre) if one.estimate else MISSING,
                _bounds(one, times),
            )
        )
    columns = (
        Column("model", "left"),
        Column(_own(times)),
        Column("spread"),
        Column(f"in {times.budget_s:g} s"),
        Column("shows"),
        Column("seen"),
        Column("99 % bounds"),
    )
    notes = (
        *_reasons(times),
        f"{times.base} against itself. spread: of a pair's estimate. shows: the smallest growth that the pairs "
        f"which fit in {times.budget_s:g} s find 95 times in 100 at a tolerance of {percent(times.rules.tolerance)}. "
        "seen: what should be nothing.",
        *times.notes,
    )
    return Table("The floor of this machine", columns, tuple(rows), notes=notes)


def _reasons(times: Times) -> list[str]:
    return [f"{one.model}: {one.reason}" for one in times.timed if one.reason]


def _legend(times: Times) -> list[str]:
    rules = times.rules
    where = f"{_own(times)} on {'one thread' if times.device == 'cpu' else times.device}"
    return [
        f"{times.head} against {times.base}: {where} of a pass, in pairs of fresh processes. regressed: "
        f"surely above {percent(rules.tolerance)}; unchanged: surely below {percent(rules.limit)}.",
        *times.notes,
    ]


def _own(times: Times) -> str:
    return "CPU time" if times.device == "cpu" else "GPU time"


def _seconds(value: float | None) -> str:
    return MISSING if value is None else seconds(value)


def _bounds(one: Timed, times: Times) -> str:
    now = one.estimate
    if now is None:
        return MISSING
    low, high = (100 * math.expm1(bound) for bound in (now.low(times.rules.alpha), now.high(times.rules.alpha)))
    return f"{low:+.1f} to {high:+.1f} %"


def _pairs(one: Timed) -> str:
    more = f"+{len(one.again.pairs)}" if one.again else ""
    return f"{len(one.first.pairs)}{more}"
