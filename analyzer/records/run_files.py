"""Files under `.analyze`: one per timed run, and the measured peaks of the machine."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.core.files import DATA, make_data_folder, project_root, read_text, write_text
from analyzer.records.record import Record
from analyzer.records.record_json import dump

FOLDER = Path(DATA) / "records"
PEAKS = Path(DATA) / "machine.json"
PEAKS_VERSION = 1
MAX_PEAK = 1e30  # FLOPs or bytes per second, far beyond any machine: a larger value is a damaged file.


def save(records: Sequence[Record], root: Path | None = None) -> Path:
    """Writes one file and returns its path. Raises AnalyzerError if the folder cannot be written to.

    Its name is the time in UTC and a hash of the text, so that simultaneous runs write different files.
    """
    complete = all(record.measurement is None or record.measurement.status == "ok" for record in records)
    text = dump(records, status="ok" if complete else "partial")
    stamp = (records[0].created or "").translate({ord(sign): None for sign in "-:"})
    folder = _make_folder((root or project_root()) / FOLDER, "the run")
    path = folder / f"{stamp}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_text(path, text)
    return path


@contextmanager
def journal(root: Path | None = None) -> Iterator[Callable[[Sequence[Record]], None]]:
    """A function that keeps the records so far of a run in a file, so that an interrupted process loses little.

    The file is removed at the end and after an error, but not if the process is interrupted or told to exit.

    The file is replaced each time. One that cannot be written is skipped: `save` reports the error at the end.
    """
    path = (root or project_root()) / FOLDER / f"unfinished-{os.getpid()}-{time.time_ns()}.json"

    def keep(records: Sequence[Record]) -> None:
        if any(record.measurement and record.measurement.timings for record in records):
            with suppress(AnalyzerError, OSError):
                make_data_folder(path.parent)
                write_text(path, dump(records, status="partial"))

    try:
        yield keep
    except Exception:
        _remove(path)
        raise
    _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):  # No such file, or none of its folders.
        path.unlink()


def save_peaks(data: Mapping[str, Any]) -> Path:
    """Replaces the file of `analyze machine` and returns its path."""
    path = _make_folder(project_root() / PEAKS.parent, "the peaks") / PEAKS.name
    write_text(path, json.dumps(data, indent=1) + "\n")
    return path


def load_peaks(environment: Mapping[str, Any], root: Path | None = None) -> list[dict[str, Any]]:
    """The project's saved peaks if they were measured with the processor and torch of `environment`; otherwise none."""
    try:
        data = json.loads(read_text((root or project_root()) / PEAKS))
        same = data["schema_version"] == PEAKS_VERSION and _chip(data["environment"]) == _chip(environment)
        return [dict(peak) for peak in data["peaks"] if _is_peak(peak)] if same else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _is_peak(peak: Any) -> bool:
    """Whether the entry has the right types and a plausible value: the file may have been edited."""
    if not isinstance(peak, Mapping):
        return False
    texts = (peak.get("name"), peak.get("unit"), peak.get("device", "cpu"))
    value, threads = peak.get("value"), peak.get("threads")
    numbers = isinstance(value, int | float) and isinstance(threads, int) and 0 < value < MAX_PEAK
    return numbers and all(isinstance(text, str) for text in texts)


def _chip(environment: Mapping[str, Any]) -> tuple[Any, ...]:
    processor, torch = environment["processor"], environment["torch"]
    return processor["model"], processor["family"], processor["flags"], processor["affinity"], torch["version"]


def _make_folder(folder: Path, content: str) -> Path:
    try:
        make_data_folder(folder)
    except OSError as error:
        advice = "give --no-keep, and -o FILE with --format json"
        raise AnalyzerError(f"cannot save {content} in {folder}: {error.strerror or error}; {advice}") from None
    return folder
