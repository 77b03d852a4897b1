"""`analyzer.history`: stored results as frames and records."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.database.store import Store, open_store
from analyzer.records.record import Record

if TYPE_CHECKING:
    import pandas


class History:
    """The results in a store. Each call opens the store and closes it again."""

    def __init__(self, store: str | Path | None = None) -> None:
        self._store = None if store is None else str(store)

    def frame(self, where: str | None = None) -> pandas.DataFrame:
        """One row per result that the filter selects, newest first; columns are those of `analyze history list`.

        Integers that are unknown are `<NA>`. Damaged results are left out with a warning. Raises AnalyzerError
        for a filter with an error or an unusable store.
        """
        with open_store(self._store, create=False) as store:
            frame = store.frame(where)
            _warn(store)
            return frame

    def records(self, where: str | None = None) -> tuple[Record, ...]:
        """The records of the results that the filter selects, newest first, with counts, memory and all samples."""
        with open_store(self._store, create=False) as store:
            records = tuple(result.record for result in store.results(where) if result.record)
            _warn(store)
            return records


def _warn(store: Store) -> None:
    for note in store.notes:
        warnings.warn(note, stacklevel=3)


def history(store: str | Path | None = None) -> History:
    """The results of sweeps and timed runs in a store: a file, a URL of PostgreSQL, or the project's own.

    Without `store` that is the variable ANALYZE_STORE, else `.analyze/history.sqlite`, which has every run of
    `analyze time`. Filters are those of `analyze history list --where`.

    >>> import tempfile
    >>> from analyzer.database.store import open_store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_store(f"{folder}/results.sqlite"):
    ...         pass
    ...     frame = history(f"{folder}/results.sqlite").frame(where='model ~ "inception*" and batch == 8')
    >>> len(frame)
    0
    """
    return History(store)
