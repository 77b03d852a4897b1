"""pytest-benchmark's JSON: a run of a project's own benchmarks, read, and what of it is kept.

Both forms are read: `--benchmark-json FILE`, and what `--benchmark-save` and `--benchmark-autosave` put into
`.benchmarks`. What is kept is one small file a run, without names of hosts and people, so that the index can be made
again from files alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import write_text
from analyzer.core.frozen import Frozen
from analyzer.history.point import TIME, UNKNOWN, Point, known, moment, packed

FOLDER = Path(".analyze") / "imported"
SOURCE = "pytest-benchmark"
SCHEMA_VERSION = 1
LONGEST_S = 1e9  # 32 years.
WANTED = "wanted a file of pytest-benchmark, written by --benchmark-json or --benchmark-save"


class Benchmark(Frozen):
    """One benchmark of a run, in seconds. `samples_s` is empty where the file has no raw data."""

    name: str
    median_s: float
    samples_s: tuple[float, ...] = ()


class Run(Frozen):
    """One session of pytest-benchmark. `environment` is what its times depend on, by name."""

    created: str
    commit: str | None
    environment: Mapping[str, str]
    benchmarks: tuple[Benchmark, ...]

    def points(self, run: str) -> list[Point]:
        environment = packed(self.environment)
        return [
            Point(run, self.created, self.commit, one.name, TIME, "", environment, one.median_s)
            for one in self.benchmarks
        ]


def read(path: Path) -> Run:
    """The run in a file of pytest-benchmark. Raises AnalyzerError, naming the file, if it is none."""
    return parse(_text(path), str(path))


def parse(text: str, name: str = "input") -> Run:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnalyzerError(f"{quoted(name)} is not JSON ({one_line(error)[:100]}); {WANTED}") from None
    if not isinstance(data, dict) or not isinstance(data.get("benchmarks"), list) or "machine_info" not in data:
        raise AnalyzerError(f"{quoted(name)} has no benchmarks; {WANTED}")
    try:
        commit = data.get("commit_info") or {}
        identity = known(_text_or_none(commit.get("id")))
        return Run(
            moment(data.get("datetime")),
            f"{identity}-dirty" if identity and commit.get("dirty") else identity,
            environment(data["machine_info"] or {}),
            # Of one that ran twice, as after a failure, the last counts: so it does for pytest-benchmark itself.
            tuple({one.name: one for one in map(_benchmark, data["benchmarks"])}.values()),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise AnalyzerError(
            f"{quoted(name)} is damaged ({type(error).__name__}: {one_line(error)[:100]}); {WANTED}"
        ) from None


def environment(machine: Mapping[str, Any]) -> dict[str, str]:
    """What times depend on: the processor and Python. The host's name is left behind, and so is the clock's speed."""
    cpu = machine.get("cpu") or {}
    found = {
        "processor": cpu.get("brand_raw") or cpu.get("brand") or machine.get("processor"),
        "processors": cpu.get("count"),
        "architecture": machine.get("machine"),
        "system": machine.get("system"),
        "Python": " ".join(
            str(machine[key]) for key in ("python_implementation", "python_implementation_version") if machine.get(key)
        ),
    }
    told = {key: str(value) for key, value in found.items() if value}
    return told or dict(UNKNOWN)


def _benchmark(data: Mapping[str, Any]) -> Benchmark:
    name, stats = data["fullname"], data["stats"]
    if not isinstance(name, str):
        raise TypeError(f"the name {name!r} is no text")
    return Benchmark(name, _seconds(stats["median"]), tuple(map(_seconds, stats.get("data") or ())))


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise ValueError(f"{value!r} is no number of seconds")
    return float(value)


def _text_or_none(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is no commit")
    return value


def found(place: Path) -> list[Path]:
    """The files that a person means: the one, or every `.json` below a folder. Raises AnalyzerError for none."""
    try:
        if place.is_dir():
            files = sorted(path for path in place.rglob("*.json") if path.is_file())
            if files:
                return files
            raise AnalyzerError(f"{quoted(place)} has no .json files below it; {WANTED}")
        if not place.exists():
            raise AnalyzerError(f"there is no {quoted(place)}; {WANTED}")
        return [place]
    except OSError as error:
        raise _unread(place, error) from None


def keep(run: Run, root: Path) -> tuple[Path, bool]:
    """Writes what is kept of a run; its path, and whether it is new. The same run again is the same file."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "source": SOURCE,
        "created": run.created,
        "commit": run.commit,
        "environment": dict(run.environment),
        "benchmarks": [{"name": one.name, "median_s": one.median_s} for one in run.benchmarks],
    }
    text = json.dumps(data, indent=1) + "\n"
    stamp = run.created.translate({ord(sign): None for sign in "-:"}) or "undated"
    path = root / FOLDER / f"{stamp}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    if path.exists():
        return path, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyzerError(f"cannot keep the import in {path.parent}: {error.strerror or error}") from None
    write_text(path, text, advice="free the place, and import it again")
    return path, True


def kept(path: Path) -> Run:
    """The run that `keep` wrote. Raises AnalyzerError for any other file."""
    try:
        data = json.loads(_text(path))
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {data['schema_version']!r}, this analyze reads {SCHEMA_VERSION}")
        return Run(
            moment(data["created"]),
            known(_text_or_none(data["commit"])),
            {str(key): str(value) for key, value in data["environment"].items()},
            tuple(Benchmark(str(one["name"]), _seconds(one["median_s"])) for one in data["benchmarks"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        why = f"{type(error).__name__}: {one_line(error)[:100]}"
        raise AnalyzerError(f"{path.name} is damaged ({why}); import it again") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows puts a mark first.
    except UnicodeDecodeError:
        raise AnalyzerError(f"{quoted(path)} is not UTF-8; {WANTED}") from None
    except OSError as error:
        raise _unread(path, error) from None


def _unread(path: Path, error: OSError) -> AnalyzerError:
    return AnalyzerError(f"cannot read {quoted(path)}: {error.strerror or error}; {WANTED}")
