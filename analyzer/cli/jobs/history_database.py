"""The jobs of `analyze history list|show|export|import|prune|migrate`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import replacing
from analyzer.core.units import counted
from analyzer.database import store as stores
from analyzer.database.columns import BY_NAME, TIMESTAMPS
from analyzer.database.export_and_import import WANTED, json_lines, read_rows, write_parquet
from analyzer.database.result_rows import decode
from analyzer.database.store import Store, open_store

NO_RESULTS = "no results yet; run analyze time or analyze sweep, or import results with analyze history import"
NEWEST = "created"
SHOWN = 50  # Of the results that a deletion would remove.


def list_results(
    *,
    where: str | None,
    sort: str,
    reverse: bool,
    limit: int,
    runs: bool,
    store: str | None,
    form: str,
    output: str | None,
) -> int:
    from reports import stored_results

    if runs and (where is not None or sort != NEWEST or reverse):
        raise AnalyzerError("--runs lists whole runs, newest first; leave out --where, --sort and --reverse")
    alphabetical = sort in BY_NAME and BY_NAME[sort].kind == "text" and sort not in TIMESTAMPS
    with open_store(store, create=False) as opened:
        if runs:
            every_run = opened.runs()[:limit]
            _report(opened, len(every_run), None)
            emit(
                form, output, lambda: [stored_results.runs(every_run)], untrusted=True,
                json=lambda: stored_results.dump(every_run, len(every_run)),
            )  # fmt: skip
            return 0
        rows = list(opened.select(where, order=sort, descending=alphabetical == reverse, limit=limit))
        total = opened.count(where) if len(rows) == limit else len(rows)
        _report(opened, total, where)
    emit(
        form, output, lambda: [stored_results.listing(rows, total)] if rows else [], untrusted=True,
        json=lambda: stored_results.dump(rows, total), csv=lambda: b"".join(stored_results.csv_lines(rows)).decode(),
    )  # fmt: skip
    return 0


def _report(store: Store, total: int, where: str | None) -> None:
    """Says which run files and results could not be read, and why there is no result."""
    for note in store.notes:
        print_message(note)
    if not total and not store.notes:
        print_message(NO_RESULTS if where is None or not store.count() else "the filter selects no result")


def show_result(*, key: str, store: str | None, form: str, output: str | None) -> int:
    from reports import stored_results
    from reports.display import tables

    with open_store(store, create=False) as opened:
        row = opened.get(_only_key(opened, key))
    result = decode(row)
    emit(
        form, output, untrusted=True, json=lambda: b"".join(json_lines([row])).decode(),
        tables=lambda: [stored_results.details(row), *(tables(result.record) if result.record else [])],
    )  # fmt: skip
    return 0


def _only_key(store: Store, prefix: str) -> str:
    keys = store.find(prefix)
    if not keys:
        raise AnalyzerError(f"no result {quoted(prefix)[:80]}; analyze history list shows the keys")
    if len(keys) > 1 and keys[0] != prefix:
        raise AnalyzerError(f"several results begin with {quoted(prefix)[:80]}: {one_line(', '.join(keys[:5]))}")
    return keys[0]


def export_results(*, where: str | None, limit: int | None, store: str | None, form: str, output: str | None) -> int:
    from reports.stored_results import csv_lines

    to_stdout = output in (None, "-")
    if form == "parquet" and to_stdout and sys.stdout.isatty():
        raise AnalyzerError("Parquet is binary; give -o FILE or send it through a pipe")
    with open_store(store, create=False) as opened:
        rows = opened.select(where, limit=limit, whole=form != "csv")
        with _binary_stdout() if to_stdout else replacing(str(output)) as file:
            if form == "parquet":
                write_parquet(rows, file)
            else:
                file.writelines(csv_lines(rows) if form == "csv" else json_lines(rows))
        _report(opened, opened.count(where), where)  # Afterwards, since rows are read while they are written.
    if not to_stdout:
        print_message(f"wrote {output}")
    return 0


@contextmanager
def _binary_stdout() -> Iterator[BinaryIO]:
    sys.stdout.write("")  # Raises the error of a standard output that was closed before the program began.
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def import_results(*, files: Sequence[Path], store: str | None) -> int:
    with open_store(store) as opened:
        for path in files:
            rows = _Counted(read_rows(path))
            try:
                new = opened.insert(rows)
            except AnalyzerError:
                if rows.number:
                    print_message("results before the error may have been imported; importing again adds none twice")
                raise
            if not rows.number:
                raise AnalyzerError(f"{one_line(path)} has no results; {WANTED}")
            known = f"; {rows.number - new:,} known already" if rows.number > new else ""
            print_message(f"imported {counted(new, 'result')} of {one_line(path)} into {opened.name}{known}")
    return 0


class _Counted:
    """Rows, and how many of them were read."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self.rows, self.number = rows, 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            self.number += 1
            yield row


def prune_results(*, where: str, dry_run: bool, store: str | None) -> int:
    from reports.stored_results import listing

    with open_store(store, create=False) as opened:
        if dry_run:
            total = opened.count(where)
            rows = list(opened.select(where, limit=SHOWN))
            emit("table", None, lambda: [listing(rows, total)] if rows else [], untrusted=True)
            print_message(f"would delete {counted(total, 'result')} from {opened.name}; repeat without --dry-run")
        else:
            print_message(f"deleted {counted(opened.delete(where), 'result')} from {opened.name}; run files are kept")
        for note in opened.notes:
            print_message(note)
    return 0


def migrate_store(*, store: str | None) -> int:
    name, before, after = stores.migrate_store(store)
    if before == after:
        print_message(f"{name} has the newest schema, {after}")
    else:
        print_message(f"created the tables of schema {after} in {name}" if before is None else
                      f"changed the schema of {name} from {before} to {after}")  # fmt: skip
    return 0
