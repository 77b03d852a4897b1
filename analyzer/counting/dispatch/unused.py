"""Parameters that a pass did not read, such as those of a vision tower that got no image."""

from __future__ import annotations

from collections import Counter

from analyzer.core.units import percent
from analyzer.records.note import Note
from analyzer.records.record import Count, prefixes

SMALLEST_SHARE = 0.01  # Of all parameters; fewer, such as of a pooling head, are not worth a note.


def unused_notes(count: Count) -> tuple[Note, ...]:
    """A note with the share of unused parameters, and the largest modules of which no parameter was read."""
    unused: Counter[str] = Counter()
    used: set[str] = set()
    for row in count.rows:
        if row.op == "unused":
            unused[row.path] += row.params
        else:
            used.update(("", *prefixes(row.path)))
    share = unused.total() / (count.totals.params or 1)
    if share <= SMALLEST_SHARE:
        return ()
    modules: Counter[str] = Counter()
    for path, params in unused.items():
        modules[next((prefix for prefix in prefixes(path) if prefix not in used), path or "the model itself")] += params
    names = [path for path, _ in modules.most_common()]
    more = [f"{len(names) - 3} more"] if len(names) > 3 else []
    return (Note(f"{percent(share)} of the parameters were not used, in {', '.join([*names[:3], *more])}"),)
