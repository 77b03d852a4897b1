"""Rows as a pandas frame with exact integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from analyzer.database.columns import BY_NAME, NAMES

if TYPE_CHECKING:
    import pandas

INT64 = 1 << 63
DTYPES = {"text": "object", "integer": "Int64", "number": "float64", "boolean": "bool"}


def to_frame(rows: Iterable[Mapping[str, Any]], names: Iterable[str] = NAMES) -> pandas.DataFrame:
    """One row per result. Integers may be missing and stay exact; those beyond 64 bits are Python's."""
    import pandas

    taken = list(rows)
    series = {}
    for name in names:
        values = [row[name] for row in taken]
        dtype = DTYPES[BY_NAME[name].kind] if name in BY_NAME else "object"
        if dtype == "Int64" and any(value is not None and abs(value) >= INT64 for value in values):
            dtype = "object"
        series[name] = pandas.Series(values, dtype=dtype)
    return pandas.DataFrame(series)
