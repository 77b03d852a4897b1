"""Timed records as CSV: every timing with what was counted of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from statistics import quantiles

from analyzer.records.record import Record, Row
from analyzer.records.timings import Configuration, Timing
from reports.formats.text import inert
from reports.timing.parts import work


def timings_csv(records: Sequence[Record]) -> str:
    """Long CSV: a line a timing, the model and its configuration first, with what was counted of it.

    Seconds are medians and quartiles; `part_s` of tiles and gaps are means that add up to a pass, as in the tables.
    FLOPs of a backward tile are twice its MACs there.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    keys = ("path", "op", "call", "kind", "phase", "quality")
    figures = ("macs", "flops", "samples", "median_s", "lower_quartile_s", "upper_quartile_s", "part_s")
    writer.writerow(["model", *Configuration.fields, *keys, *figures])
    for record in records:
        if record.measurement is None:
            continue
        parts, rows = record.measurement.parts, {(row.path, row.op, row.call): row for row in record.rows}
        for one in record.measurement.timings:
            quartiles = quantiles(one.samples_s, n=4, method="inclusive") if len(one.samples_s) > 1 else [""] * 3
            values = [*vars(record.measurement.configuration).values(), *(getattr(one, key) for key in keys)]
            texts = [inert(value) if isinstance(value, str) else value for value in [record.label, *values]]
            counts = _counts(record, one, rows.get((one.path, one.op, one.call)))
            seconds = [one.median_s, quartiles[0], quartiles[2], parts.get(one, "")]
            writer.writerow([*texts, *counts, len(one.samples_s), *seconds])
    return target.getvalue()


def _counts(record: Record, one: Timing, row: Row | None) -> tuple[int | str, int | str]:
    """MACs and FLOPs of what a timing is of; empty where nothing was counted, as of a gap."""
    if one.kind in ("whole", "device"):
        return record.totals.macs, work(record.rows)
    if one.kind not in ("tile", "replay", "replay_cold") or row is None:
        return "", ""
    if one.phase == "backward":
        return "", 2 * row.backward_macs if row.backward_macs is not None else ""
    return row.macs, row.flops
