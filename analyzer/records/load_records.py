"""`analyzer.load`: records from files that `Record.save`, `analyze --format json` and `analyze time` write."""

from __future__ import annotations

from pathlib import Path

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import read_or_refuse
from analyzer.records import record_json
from analyzer.records.record import Record
from analyzer.records.validate import use_record


def load(path: str | Path) -> Record:
    """The record in a file; see `load_all` for a file with several.

    Raises AnalyzerError if the file cannot be read, is not a file of records, or has none or several of them.

    >>> import tempfile, analyzer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = analyzer.count("nin")
    ...     record.save(f"{folder}/nin.json")
    ...     load(f"{folder}/nin.json") == record
    True
    """
    records = load_all(path)
    if len(records) != 1:
        raise AnalyzerError(f"{one_line(path)} has {len(records)} records; analyzer.load_all reads them all")
    return records[0]


def load_all(path: str | Path) -> tuple[Record, ...]:
    """All records in a file, in its order. Raises AnalyzerError if it cannot be read or is not a file of records.

    >>> load_all("none.json")
    Traceback (most recent call last):
        ...
    analyzer.core.errors.AnalyzerError: cannot read 'none.json': No such file or directory
    """
    return parse(read_or_refuse(path), path)


def parse(text: str, path: str | Path) -> tuple[Record, ...]:
    """The records in the text of a file. Raises AnalyzerError if it is not a file of records."""
    records = record_json.load(text, name=one_line(path))
    return tuple(use_record(record, str(path), lambda record: record) for record in records)
