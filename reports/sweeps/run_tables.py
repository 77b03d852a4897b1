"""The results of one run of a sweep, and what a dry run lists: a line per configuration, or per model if there are
many. Rows are those of the history database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer.core.parse_inputs import overrides_text
from analyzer.core.units import METRICS, plain, seconds
from analyzer.database.columns import NAMES
from analyzer.records.record_json import envelope
from analyzer.records.timings import Configuration
from analyzer.sweeps.estimate import Estimate
from reports.cells import count, duration, quality
from reports.formats.text import csv_text
from reports.stored_results import label
from reports.table import MISSING, Cell, Row, Table, columns

MAX_LINES = 40
MAX_MODELS = 20
MAX_FAILURES = 20
AXES = ("batch", "threads", "dtype", "layout", "mode", "device", "input")
Results = Sequence[Mapping[str, Any]]


def run_tables(rows: Results, title: str, notes: Sequence[str] = ()) -> list[Table]:
    """Failures first, then the results; of more than MAX_LINES, the best and the worst of each model."""
    failed = [row for row in rows if row["status"] == "failed"]
    done = [row for row in rows if row["status"] != "failed"]
    tables = [_failures_table(failed, rows)] if failed else []
    if done:
        tables.append(_results_table(done, title) if len(done) <= MAX_LINES else _folded_table(done, title))
    return [*tables[:-1], tables[-1].replace(notes=(*tables[-1].notes, *notes))] if tables else []


def run_json(rows: Results, run: str, *, complete: bool) -> str:
    """The run's columns as JSON; records are in the history."""
    failed = any(row["status"] == "failed" for row in rows)
    status = "ok" if complete and not failed else "partial"
    return envelope(status, run=run, results=list(rows))


def run_csv(rows: Results) -> str:
    """One line per configuration."""
    return csv_text([NAMES, *([row[name] for name in NAMES] for row in rows)])


def dry_run_json(estimates: Sequence[Estimate]) -> str:
    return envelope("ok", configurations=_listed(estimates))


def dry_run_csv(estimates: Sequence[Estimate]) -> str:
    listed = _listed(estimates)
    return csv_text([list(listed[0]), *(line.values() for line in listed)])


def _listed(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    keys = ("macs", "peak_memory", "at_least_s", "reason")
    return [{**_case_columns(estimate), **{key: getattr(estimate, key) for key in keys}} for estimate in estimates]


def dry_run_tables(estimates: Sequence[Estimate], title: str, notes: Sequence[str]) -> list[Table]:
    """The configurations that a sweep would run, with their counts."""
    rows = [{**_case_columns(estimate), "estimate": estimate} for estimate in estimates]
    varying = _varying(rows)
    timed = any(estimate.at_least_s is not None for estimate in estimates)
    wide = [*varying, "MACs", "peak memory", *(["pass at least"] if timed else []), "cannot be counted"]
    if not any(estimate.reason for estimate in estimates):
        wide.remove("cannot be counted")
    shown = rows if len(rows) <= MAX_LINES else [*rows[: MAX_LINES // 2], *rows[-MAX_LINES // 2 :]]
    lines: list[Row] = [
        (
            Cell(label(row)),
            *(str(row[axis]) for axis in varying),
            count("macs", row["estimate"].macs),
            count("peak_memory", row["estimate"].peak_memory),
            *([duration(row["estimate"].at_least_s)] if timed else []),
            *([row["estimate"].reason or MISSING] if "cannot be counted" in wide else []),
        )
        for row in shown
    ]
    if len(shown) < len(rows):
        between = Cell(f"… {len(rows) - len(shown):,} more", tone="muted")
        lines.insert(MAX_LINES // 2, (between, *[""] * len(wide)))
    titles = columns("model", *wide, left=("dtype", "layout", "mode", "device", "input", "cannot be counted"),
                     shrink=("cannot be counted",))  # fmt: skip
    return [Table(title, titles, tuple(lines), notes=tuple(notes))]


def _case_columns(estimate: Estimate) -> dict[str, Any]:
    case = estimate.case
    configuration = {axis: getattr(case.configuration, axis) for axis in AXES if axis != "input"}
    overrides = overrides_text(case.overrides)
    return {"model": case.model, "overrides": overrides, "input": ",".join(case.inputs), **configuration}


def _varying(rows: Results) -> list[str]:
    """The axes with several values. A model's own input says nothing beside the model."""
    return [axis for axis in AXES if len({row[axis] for row in rows}) > 1 and not _is_of_model(rows, axis)]


def _is_of_model(rows: Results, axis: str) -> bool:
    inputs: dict[str, set[str]] = {}
    for row in rows:
        inputs.setdefault(row["model"], set()).add(row[axis])
    return axis == "input" and all(len(values) == 1 for values in inputs.values())


def _configuration(row: Mapping[str, Any], varying: Sequence[str]) -> str:
    """What of a configuration varies, in words: `batch 8, 2 threads, channels_last`."""
    fields = {axis: row[axis] for axis in AXES if axis != "input"}
    words = dict(zip(("batch", "threads", "dtype", "layout", "mode"), Configuration(**fields).words, strict=False))
    words |= {"device": row["device"], "input": row["input"]}
    return ", ".join(str(words[axis]) for axis in varying)


def _failures_table(failed: Results, rows: Results) -> Table:
    """A line per model and reason, since a model that does not load fails in all of its configurations."""
    varying = _varying(rows)
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in failed:
        groups.setdefault((label(row), _reason(row)), []).append(row)
    titles = ["configuration", "reason"] if varying else ["reason"]
    lines: list[Row] = []
    for (model, reason), group in list(groups.items())[:MAX_FAILURES]:
        which = _configuration(group[0], varying) if len(group) == 1 else f"{len(group):,} configurations"
        lines.append((Cell(model, tone="bad"), *([which] if varying else []), reason))
    more = len(groups) - len(lines)
    notes = (f"… and {more:,} more: analyze history list --where 'status == \"failed\"'.",) if more else ()
    title = f"Failed: {len(failed):,} of {len(rows):,} configurations"
    return Table(title, columns("model", *titles, left=titles), tuple(lines), prose=True, notes=notes)


def _reason(row: Mapping[str, Any]) -> str:
    """Without the model, which has a column, and with the number of attempts if it was tried again."""
    reason = str(row["reason"]).removeprefix(f"{label(row)}: ")
    return f"{reason} ({row['attempts']} attempts)" if row["attempts"] > 1 else reason


def _results_table(rows: Results, title: str) -> Table:
    varying = _varying(rows)
    timed, memory = _any(rows, "time_s"), _any(rows, "peak_memory")
    lines: list[Row] = [
        (
            Cell(label(row)),
            *(str(row[axis]) for axis in varying),
            count("params", row["params"]),
            count("macs", row["macs"]),
            *([count("peak_memory", row["peak_memory"])] if memory else []),
            *((duration(row["time_s"]), *_interval(row)) if timed else ()),
        )
        for row in rows
    ]
    titles = [*varying, "params", "MACs", *(["peak memory"] if memory else []),
              *(["time", "95 % interval", "quality"] if timed else [])]  # fmt: skip
    left = ("dtype", "layout", "mode", "device", "input", "quality")
    return Table(title, columns("model", *titles, left=left, drop=("params", "95 % interval")), tuple(lines))


def _any(rows: Results, column: str) -> bool:
    return any(row[column] is not None for row in rows)


def _interval(row: Mapping[str, Any]) -> tuple[Cell | str, Cell | str]:
    if row["time_s"] is None:
        return MISSING, MISSING
    low, high = row["time_low_s"], row["time_high_s"]
    interval = MISSING if low is None or high is None else f"{seconds(low)} to {seconds(high)}"
    return interval, quality(row["quality"])


def _folded_table(rows: Results, title: str) -> Table:
    """Two lines per model: its best and its worst configuration, by throughput if it was timed, else by MACs."""
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row)
    timed = _any(rows, "time_s")
    title_of_value, words = ("samples/s", ("most", "fewest")) if timed else ("MACs", ("fewest", "most"))
    value: Callable[[Mapping[str, Any]], float] = _throughput if timed else lambda row: row["macs"]
    text = plain if timed else METRICS["macs"].text
    lines: list[Row] = []
    for model, results in list(by_model.items())[:MAX_MODELS]:
        varying = _varying(results)
        usable = [row for row in results if not timed or (row["time_s"] and row["quality"] != "void")]
        ranked = sorted(usable, key=value, reverse=timed)
        for word, row in zip(words, (ranked[0], ranked[-1]) if ranked else (), strict=False):
            shown = Cell(text(value(row)), value(row))
            lines.append((Cell(model), f"{len(results):,}", word, shown, _words(row, varying)))
    more = len(by_model) - MAX_MODELS
    notes = [f"… and {more:,} more models."] if more > 0 else []
    notes += ["Void times are left out."] if any(row["quality"] == "void" for row in rows) else []
    titles = columns("model", "results", "", title_of_value, "configuration", left=("", "configuration"),
                     shrink=("configuration",))  # fmt: skip
    return Table(title, titles, tuple(lines), notes=tuple(notes))


def _throughput(row: Mapping[str, Any]) -> float:
    return float(row["batch"] / row["time_s"])


def _words(row: Mapping[str, Any], varying: Sequence[str]) -> str:
    return ", ".join(filter(None, (row["overrides"], _configuration(row, varying)))) or MISSING
