"""Timed runs on disk: a file a run under `.analyze/records`, which is the truth that every index is made from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from analyzer.envelope import dump
from analyzer.errors import AnalyzerError
from analyzer.files import project_root, write_text
from analyzer.record import Record

FOLDER = Path(".analyze") / "records"


def save(records: Sequence[Record], root: Path | None = None) -> Path:
    """Writes one file and returns its path. Raises AnalyzerError if the place cannot be written to.

    Its name is the run's time in UTC and a hash of its text: two runs at once make two files.
    """
    whole = all(record.cell is None or record.cell.status == "ok" for record in records)
    text = dump(records, status="ok" if whole else "partial")
    stamp = (records[0].created or "").translate({ord(sign): None for sign in "-:"})
    folder = (root or project_root()) / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyzerError(
            f"cannot keep the run in {folder}: {error.strerror or error}; "
            "give --no-keep, and -o FILE with --format json"
        ) from None
    path = folder / f"{stamp}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_text(path, text)
    return path
