"""Results as JSON lines and Parquet: both hold whole results, so that another store can import them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import MAX_BYTES, open_seekable
from analyzer.database.columns import COLUMNS, DOCUMENTS, NAMES
from analyzer.database.import_run_files import results_of
from analyzer.database.result_rows import BATCH, batches, decode, encode
from analyzer.records.load_records import parse

PARQUET_MAGIC = b"PAR1"
INT64 = 1 << 63
KEY = re.compile(r"[\w.-]{1,200}", re.ASCII)
WANTED = "wanted JSON lines or Parquet of analyze history export, or JSON of analyze time or analyze --format json"


def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """One object per line: every column, and the documents `record` and `case`."""
    for row in rows:
        columns = json.dumps({name: row[name] for name in NAMES})
        documents = "".join(f', "{name}": {row[name] or "null"}' for name in DOCUMENTS)
        yield f"{columns[:-1]}{documents}}}\n".encode()


def write_parquet(rows: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
    """Columns and, as JSON text, the documents. An integer beyond 64 bits is null; the record has it."""
    parquet, arrow = _parquet()
    types = {"text": arrow.string(), "integer": arrow.int64(), "number": arrow.float64(), "boolean": arrow.bool_()}
    fields = [(column.name, types[column.kind]) for column in COLUMNS] + [(name, arrow.string()) for name in DOCUMENTS]
    schema = arrow.schema(fields)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches(rows):
            table = [{name: _int64(value) for name, value in row.items()} for row in batch]
            writer.write_table(arrow.Table.from_pylist(table, schema=schema))


def _int64(value: Any) -> Any:
    return None if isinstance(value, int | float) and abs(value) >= INT64 else value


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file or pipe. They are computed again from the records, so that columns and records agree.

    The file is JSON lines, Parquet, or JSON of `analyze time` or `analyze --format json`. Raises AnalyzerError, naming
    the line, for anything else.
    """
    try:
        with open_seekable(path) as file:
            start = file.read(1 << 16)
            file.seek(0)
            if start.startswith(PARQUET_MAGIC):
                yield from _parquet_rows(file, path)
            elif b'"schema_version"' in start.split(b'"records"')[0] and b'"case"' not in start.split(b"\n")[0]:
                yield from map(encode, results_of(parse(file.read(MAX_BYTES).decode(), path), path.stem))
            else:
                yield from _json_rows(file, path)
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not text"
        raise AnalyzerError(f"cannot read {quoted(path)}: {one_line(reason)[:200]}") from None


def _json_rows(file: BinaryIO, path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(iter(partial(file.readline, MAX_BYTES), b""), 1):
        if line.strip():
            yield _checked(line, f"{one_line(path)}, line {number}")


def _checked(line: bytes, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise AnalyzerError(f"{place} is no JSON; {WANTED}") from None
    if not isinstance(row, dict) or not {"key", "case"} <= row.keys():
        raise AnalyzerError(f"{place} is no result; {WANTED}")
    return _again(row, place)


def _again(row: Mapping[str, Any], place: str) -> dict[str, Any]:
    if not (isinstance(row["key"], str) and KEY.fullmatch(row["key"])):
        raise AnalyzerError(f"{place}: the key is {row['key']!r:.60}; wanted letters and digits")
    try:
        return encode(decode(row))
    except AnalyzerError as error:
        raise AnalyzerError(f"{place}: {error}") from None


def _parquet_rows(content: BinaryIO, path: Path) -> Iterator[dict[str, Any]]:
    parquet, arrow = _parquet()
    try:
        with parquet.ParquetFile(content) as file:
            missing = {"key", *DOCUMENTS} - set(file.schema_arrow.names)
            if missing:
                raise AnalyzerError(f"{one_line(path)} has no column {', '.join(sorted(missing))}; {WANTED}")
            number = 0
            for batch in file.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield _again(row, f"{one_line(path)}, row {number}")
    except (arrow.ArrowException, UnicodeDecodeError) as error:
        raise AnalyzerError(f"cannot read {quoted(path)}: {one_line(error)[:200]}") from None


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise AnalyzerError(
            "Parquet needs pyarrow, which is not installed; install the extra parquet: pip install 'macscope[parquet]'"
        ) from None
    except ImportError as error:
        raise AnalyzerError(f"Parquet needs pyarrow, which cannot be imported: {one_line(error)[:200]}") from None
    return parquet, pyarrow
