"""Finds parameters that a pass did not read, such as those of a vision tower without an image."""

from __future__ import annotations

from collections import Counter

from analyzer.core.units import percent
from analyzer.records.note import Note
from analyzer.records.rows import Count, prefixes

SMALLEST_SHARE = 0.01  # Share of all parameters below which there is no note, such as for a pooling head.


def unused_notes(count: Count) -> tuple[Note, ...]:
    """A note with the share of unused parameters, and the largest modules of which no parameter was read."""
    unused = [row for row in count.rows if row.op == "unused"]
    share = sum(row.params for row in unused) / max(sum(row.params for row in count.rows), 1) if unused else 0
    if share <= SMALLEST_SHARE:
        return ()
    used = {prefix for row in count.rows if row.op != "unused" for prefix in prefixes(row.path)}
    modules: Counter[str] = Counter()
    for row in unused:
        whole = (prefix for prefix in prefixes(row.path) if prefix not in used)
        modules[next(whole, row.path or "the model itself")] += row.params
    names = [path for path, _ in modules.most_common()]
    more = [f"{len(names) - 3} more"] if len(names) > 3 else []
    return (Note(f"{percent(share)} of the parameters were not used, in {', '.join([*names[:3], *more])}"),)
