"""Reads pytest-benchmark's JSON, and stores imported runs.

Both forms are read: `--benchmark-json FILE`, and what `--benchmark-save` and `--benchmark-autosave` write to
`.benchmarks`. An import is stored as one small file per run, without the names of hosts and people, so that the history
depends on nothing but these files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import DATA, make_data_folder, read_text, write_text
from analyzer.core.frozen import Frozen
from analyzer.trends.point import TIME, UNKNOWN, Point, dump_environment, known_commit, utc_timestamp

FOLDER = Path(DATA) / "imported"
SOURCE = "pytest-benchmark"
SCHEMA_VERSION = 1
MAX_S = 1e9  # 32 years.
WANTED = "wanted a file of pytest-benchmark, written by --benchmark-json or --benchmark-save"
INVALID = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)


class Benchmark(Frozen):
    """One benchmark of a run, in seconds. `samples_s` is empty if the file has no raw data."""

    name: str
    median_s: float
    samples_s: tuple[float, ...] = ()


class BenchmarkRun(Frozen):
    """One session of pytest-benchmark. `environment` lists the properties that influence its times."""

    created: str
    commit: str | None
    environment: Mapping[str, str]
    benchmarks: tuple[Benchmark, ...]

    def points(self, run: str) -> list[Point]:
        environment = dump_environment(self.environment)
        return [
            Point(run, self.created, self.commit, benchmark.name, TIME, "", environment, benchmark.median_s)
            for benchmark in self.benchmarks
        ]


def read_run(path: Path) -> BenchmarkRun:
    """The run in a file of pytest-benchmark. Raises AnalyzerError, naming the file, if it is none."""
    return parse_run(read_file(path), str(path))


def parse_run(text: str, name: str = "input") -> BenchmarkRun:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnalyzerError(f"{quoted(name)} is not JSON ({one_line(error)[:100]}); {WANTED}") from None
    if not isinstance(data, dict) or not isinstance(data.get("benchmarks"), list) or "machine_info" not in data:
        raise AnalyzerError(f"{quoted(name)} has no benchmarks; {WANTED}")
    try:
        commit = data.get("commit_info") or {}
        identity = known_commit(_text_or_none(commit.get("id")))
        return BenchmarkRun(
            utc_timestamp(data.get("datetime")),
            f"{identity}-dirty" if identity and commit.get("dirty") else identity,
            machine_environment(data["machine_info"] or {}),
            # If a benchmark ran twice, such as after a failure, the last run counts, as in pytest-benchmark.
            tuple({benchmark.name: benchmark for benchmark in map(_benchmark, data["benchmarks"])}.values()),
        )
    except INVALID as error:
        raise AnalyzerError(
            f"{quoted(name)} is damaged ({type(error).__name__}: {one_line(error)[:100]}); {WANTED}"
        ) from None


def machine_environment(machine: Mapping[str, Any]) -> dict[str, str]:
    """The properties that influence times: processor, system and Python; without host name and clock speed.

    Of Python's version, major and minor: a patch release does not change speed, and must not split a history.
    """
    cpu = machine.get("cpu") or {}
    environment = {
        "processor": cpu.get("brand_raw") or cpu.get("brand") or machine.get("processor"),
        "processors": cpu.get("count"),
        "architecture": machine.get("machine"),
        "system": machine.get("system"),
        "Python": minor_version(
            " ".join(
                str(machine[key])
                for key in ("python_implementation", "python_implementation_version")
                if machine.get(key)
            )
        ),
    }
    return {key: str(value) for key, value in environment.items() if value} or dict(UNKNOWN)


def minor_version(text: str) -> str:
    """`CPython 3.13.1` → `CPython 3.13`; any other text as it is. Older files have the patch release too."""
    return re.sub(r"^(\w+ \d+\.\d+)\.\S+$", r"\1", text)


def _benchmark(data: Mapping[str, Any]) -> Benchmark:
    name, stats = data["fullname"], data["stats"]
    if not isinstance(name, str):
        raise TypeError(f"the name {name!r} is not a string")
    return Benchmark(name, _seconds(stats["median"]), tuple(map(_seconds, stats.get("data") or ())))


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_S:
        raise ValueError(f"{value!r} is not a number of seconds")
    return float(value)


def _text_or_none(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is not a commit")
    return value


def store_run(run: BenchmarkRun, root: Path) -> tuple[Path, bool]:
    """Writes a run to the project; returns its path and whether it is new. An equal run has the same path."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "source": SOURCE,
        "created": run.created,
        "commit": run.commit,
        "environment": dict(run.environment),
        "benchmarks": [{"name": benchmark.name, "median_s": benchmark.median_s} for benchmark in run.benchmarks],
    }
    text = json.dumps(data, indent=1) + "\n"
    stamp = run.created.translate({ord(sign): None for sign in "-:"}) or "undated"
    path = root / FOLDER / f"{stamp}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    if path.exists():
        return path, False
    try:
        make_data_folder(path.parent)
    except OSError as error:
        raise AnalyzerError(f"cannot store the import in {path.parent}: {error.strerror or error}") from None
    write_text(path, text, advice="make space or the folder writable, and import it again")
    return path, True


def load_stored_run(path: Path) -> BenchmarkRun:
    """The run that `store_run` wrote. Raises AnalyzerError for any other file."""
    try:
        data = json.loads(read_file(path))
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {data['schema_version']!r}, this analyze reads {SCHEMA_VERSION}")
        return BenchmarkRun(
            utc_timestamp(data["created"]),
            known_commit(_text_or_none(data["commit"])),
            {str(key): minor_version(str(value)) for key, value in data["environment"].items()},
            tuple(Benchmark(str(item["name"]), _seconds(item["median_s"])) for item in data["benchmarks"]),
        )
    except INVALID as error:
        problem = f"{type(error).__name__}: {one_line(error)[:100]}"
        raise AnalyzerError(f"{path.name} is damaged ({problem}); import it again") from None


def read_file(path: Path) -> str:
    """The text of a file that another program wrote. Raises AnalyzerError, naming the file, if it cannot be read."""
    try:
        return read_text(path, encoding="utf-8-sig")  # Windows programs write a byte order mark.
    except UnicodeDecodeError:
        raise AnalyzerError(f"{quoted(path)} is not UTF-8; {WANTED}") from None
    except OSError as error:
        raise AnalyzerError(f"cannot read {quoted(path)}: {error.strerror or error}; {WANTED}") from None
