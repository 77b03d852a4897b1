"""Makes files of pytest-benchmark, and points of a history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.trends.point import TIME, Point, dump_environment

MACHINE = {
    "node": "secret-host",
    "machine": "x86_64",
    "system": "Linux",
    "release": "6.1",
    "python_implementation": "CPython",
    "python_implementation_version": "3.11.9",
    "cpu": {"brand_raw": "Example CPU 3 GHz", "count": 4, "hz_actual_friendly": "3.1 GHz"},
}


def bench(
    times: Mapping[str, float | Sequence[float]],
    *,
    day: int = 1,
    machine: Mapping[str, Any] = MACHINE,
    raw: bool = True,
) -> str:
    """A file's text. `times` has a time in seconds, or samples, per benchmark; `day` also numbers the commit."""
    benchmarks = []
    for name, time in times.items():
        data = [time] * 5 if isinstance(time, int | float) else list(time)
        samples = sorted(data)
        stats = {"median": samples[len(samples) // 2], "rounds": len(samples)}
        benchmarks.append({"fullname": name, "name": name, "stats": stats | ({"data": data} if raw else {})})
    commit = {"id": f"{day:040x}", "dirty": False, "author_time": None, "branch": "secret-branch"}
    moment = f"2026-{1 + (day - 1) // 28:02}-{1 + (day - 1) % 28:02}T12:00:00+00:00"
    return json.dumps(
        {"machine_info": dict(machine), "commit_info": commit, "benchmarks": benchmarks, "datetime": moment}
    )


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def points(values: Sequence[float], model: str = "net", metric: str = TIME, environment: str = "here") -> list[Point]:
    """One point per run, oldest first."""
    place = dump_environment({"processor": environment})
    return [
        Point(f"{run:03}", f"2026-01-01T00:00:{run:02}Z", f"{run:07x}", model, metric, "", place, value)
        for run, value in enumerate(values)
    ]
