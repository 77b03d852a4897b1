"""A time check as JSON, Markdown, JUnit XML and workflow commands, in the same shapes as a check of counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as Xml

from analyzer.core.errors import one_line
from analyzer.records.envelope import SCHEMA_VERSION, pretty
from analyzer.regression.paired.measure import Gathered
from analyzer.regression.paired.pairs import BASE, HEAD
from analyzer.regression.paired.result import Timed, Times, verdicts
from reports.formats.text import titled
from reports.regression import json as envelope
from reports.regression import junit
from reports.regression import paired as gate_time
from reports.regression.annotations import command
from reports.regression.paired import line


def json(times: Times) -> str:
    """The envelope: verdicts as of any check, and under `times` each model with every pair's estimate."""
    found = [
        # What a reader wants of a pair is its own ratio; that of the two medians has the machine's drift in it.
        {**envelope.to_json(verdict), "ratio": math.exp(one.estimate.centre) if one.estimate else None}
        for verdict, one in zip(verdicts(times), times.timed, strict=True)
    ]
    document = {
        "schema_version": SCHEMA_VERSION,
        "status": times.status,
        "base": times.base,
        "head": times.head,
        "self_test": times.self_test,
        "device": times.device,
        "notes": list(times.notes),
        "rules": dict(vars(times.rules)),
        "verdicts": found,
        "times": [_timed(one, times) for one in times.timed],
        "records": [],
    }
    return pretty(document) + "\n"


def _timed(one: Timed, times: Times) -> dict[str, Any]:
    return {
        "model": one.model,
        "outcome": one.outcome,
        "reason": one.reason or None,
        "own_s": {"base": one.own_s(BASE), "head": one.own_s(HEAD)},
        "wall_s": {"base": one.wall_s(BASE), "head": one.wall_s(HEAD)},
        "wall_ratio": None if one.wall is None else 1 + one.wall,
        "smallest_shown": times.floor(one),
        "pairs": _pairs(one.first),
        "confirmation": _pairs(one.again) if one.again else None,
    }


def _pairs(gathered: Gathered) -> dict[str, Any]:
    return {
        "seconds": gathered.seconds,
        "lost": list(gathered.lost),
        "log_ratios": gathered.logs,
        "wall_log_ratios": [pair.wall for pair in gathered.pairs],
        "parents": [pair.parents for pair in gathered.pairs],
    }


def markdown(times: Times) -> str:
    summary, *_ = gate_time.tables(times)
    return titled(summary)


def xml(times: Times) -> str:
    """JUnit: a case a model and metric; unclear is skipped with its reason, as CI servers show what is no verdict."""
    suite = Xml.Element("testsuite", name="analyze check, time")
    for one in times.timed:
        case = Xml.SubElement(suite, "testcase", classname=one_line(one.model), name=times.metric)
        said = one_line(one.reason or line(one, times))
        if one in times.failures:
            Xml.SubElement(case, "failure", message=one_line(line(one, times)), type="regressed").text = said
        elif one in times.unmeasured:
            Xml.SubElement(case, "error", message=said, type="error").text = said
        elif one in times.unclear:
            Xml.SubElement(case, "skipped", message=f"unclear: {said}")
        else:
            Xml.SubElement(case, "system-out").text = said
    return junit.document(suite)


def commands(times: Times) -> Iterator[str]:
    """An `::error` a model that regressed or could not be measured, a `::warning` one that stays unclear."""
    for one in times.timed:
        if one in times.failures or one in times.unmeasured:
            word = "regressed" if one in times.failures else "cannot be timed"
            yield command("error", f"{one.model}: {word}", one_line(one.reason or line(one, times)))
        elif one in times.unclear and not times.self_test:
            yield command("warning", f"{one.model}: unclear", one_line(one.reason or line(one, times)))
