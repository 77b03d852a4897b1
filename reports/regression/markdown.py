"""A check as Markdown, for a pull request and for the summary page of a job."""

from __future__ import annotations

import html

from analyzer.core.errors import one_line
from analyzer.regression.counts.result import Result


def dump(result: Result, limit: int | None = None) -> str:
    """The summary, and behind a fold each model that differs. Beyond `limit` bytes folds are left out, and named."""
    from reports.formats.text import escaped, markdown, titled
    from reports.regression import counts as gate

    summary, *_ = gate.tables(result)
    parts = [titled(summary)]
    left = []
    for model in result.models:
        tables = gate.details(result, model)
        if not tables:
            continue
        fold = f"<details><summary>{html.escape(one_line(model))}</summary>\n\n{markdown(tables)}\n</details>\n"
        if limit is not None and sum(len(part.encode()) for part in [*parts, fold]) > limit:
            left.append(model)
        else:
            parts.append(fold)
    if left:
        parts.append(f"Too long to show here: {escaped(', '.join(left))[:1000]}\n")
    return "\n".join(parts)
