"""What is kept under `.analyze`: a file a timed run, from which every index can be made again; a machine's peaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.core.files import project_root, write_text
from analyzer.records.envelope import dump
from analyzer.records.record import Record

FOLDER = Path(".analyze") / "records"
PEAKS = Path(".analyze") / "machine.json"
PEAKS_VERSION = 1
LARGEST = 1e30  # Of FLOPs or bytes a second: no machine's.


def save(records: Sequence[Record], root: Path | None = None) -> Path:
    """Writes one file and returns its path. Raises AnalyzerError if the place cannot be written to.

    Its name is the run's time in UTC and a hash of its text: two runs at once make two files.
    """
    whole = all(record.measurement is None or record.measurement.status == "ok" for record in records)
    text = dump(records, status="ok" if whole else "partial")
    stamp = (records[0].created or "").translate({ord(sign): None for sign in "-:"})
    folder = _made((root or project_root()) / FOLDER, "the run")
    path = folder / f"{stamp}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_text(path, text)
    return path


def keep_peaks(data: Mapping[str, Any], root: Path | None = None) -> Path:
    """Writes what `analyze machine` measured, in place of what it measured before, and returns the path."""
    path = _made((root or project_root()) / PEAKS.parent, "the peaks") / PEAKS.name
    write_text(path, json.dumps(data, indent=1) + "\n")
    return path


def kept_peaks(environment: Mapping[str, Any], root: Path | None = None) -> list[dict[str, Any]]:
    """The peaks kept in this project, if they are of the same processor and torch as `environment`; else none."""
    try:
        data = json.loads(((root or project_root()) / PEAKS).read_text(encoding="utf-8"))
        theirs = data["environment"]
        same = data["schema_version"] == PEAKS_VERSION and _chip(theirs) == _chip(environment)
        return [dict(peak) for peak in data["peaks"] if _is_peak(peak)] if same else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _is_peak(peak: Any) -> bool:
    """Whether its figures can be reckoned with: anybody may have edited the file."""
    if not isinstance(peak, Mapping):
        return False
    texts = (peak.get("name"), peak.get("unit"), peak.get("device", "cpu"))
    value, threads = peak.get("value"), peak.get("threads")
    numbers = isinstance(value, int | float) and isinstance(threads, int) and 0 < value < LARGEST
    return numbers and all(isinstance(text, str) for text in texts)


def _chip(environment: Mapping[str, Any]) -> tuple[Any, ...]:
    processor, torch = environment["processor"], environment["torch"]
    return processor["model"], processor["family"], processor["flags"], processor["affinity"], torch["version"]


def _made(folder: Path, what: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyzerError(
            f"cannot keep {what} in {folder}: {error.strerror or error}; give --no-keep, and -o FILE with --format json"
        ) from None
    return folder
