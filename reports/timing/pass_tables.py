"""Timed records as tables: whole passes side by side, then the breakdown of one record or of several, by kind.

Every time has its quality in its row or in the table's title.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isinf

from analyzer.core.units import percent, plain, scaled, seconds, times
from analyzer.records.record import Record
from analyzer.records.timings import Measurement
from analyzer.timing.load_options import LatencyLimit
from analyzer.timing.statistics import relative_half_width
from reports.table import MISSING, Cell, Column, Table, columns
from reports.table import Row as TableRow
from reports.timing.breakdown import (
    TOTAL,
    CeilingsOf,
    groups_by_kind,
    kinds,
    measurement_of,
    module_groups,
    modules,
    share_of_macs,
    time_text,
    total_flops,
)
from reports.timing.latency import latency_table
from reports.timing.latency_under_load import load_tables
from reports.timing.profile import kernels, replays
from reports.timing.speeds import speed_table

MORE_SAMPLES = "For a narrower interval, stop other processes, or raise --budget and --processes."
REFERENCE = (
    "Reference workload: the same computation in every process. If its times vary too, the machine's speed varies."
)
TRAINING = (
    "Training: a pass is one step of SGD with momentum. The loss (cross entropy for a built-in network, otherwise the "
    "sum of all outputs) is among the top-level operators."
)
SEE_CONVENTIONS = "analyze conventions explains the columns."
MAX_KINDS = 5
MAX_LISTED = 3  # Configurations before a note that is about several.
MAX_COLUMNS, MAX_CONFIGURATIONS = 3, 6  # Side by side in one table, and in all tables of times by module.
SHORT = {
    "max_pool2d": "max pool",
    "avg_pool2d": "avg pool",
    "adaptive_avg_pool2d": "avg pool",
    "local_response_norm": "LRN",
    "batch_norm": "norm",
}


def tables(
    records: Sequence[Record],
    depth: int,
    ceilings: CeilingsOf = lambda record: None,
    limit: LatencyLimit | None = None,
) -> list[Table]:
    """All records side by side, then the breakdown of one record, or the kinds and modules of several; their sums."""
    timed = [record for record in records if record.measurement and record.measurement.pass_timing]
    split = [record for record in timed if sum(measurement_of(record).operator_times_s.values()) > 0]
    shared, labels = _labels(records)
    shown = [speed_table(records, labels, shared)] if len(records) > 1 and timed else []
    shown.append(pass_table(records))
    if len(split) == 1:
        shown += [modules(split[0], depth, ceilings(split[0])), kinds(split[0], ceilings(split[0]))]
    elif split:
        shown.append(kind_shares(split))
        if len({record.label for record in split}) == 1 and len(split) <= MAX_CONFIGURATIONS:
            shown += modules_by_configuration(split, depth)
    shown += [sum_table(timed)] if split else []
    shown += latency_table(timed, _labels(timed)[1]) if timed else []
    for record in timed:
        shown += [*load_tables(record, limit), *kernels(record, depth), *replays(record)]
    return shown


def pass_table(records: Sequence[Record]) -> Table:
    """One row per record: time with its confidence interval and quality, throughput, FLOP/s."""
    speeds = [_samples_per_s(measurement_of(record)) for record in records]
    first = next(filter(None, speeds), 1.0)
    shared, labels = _labels(records)
    rows: list[TableRow] = []
    names: dict[str, list[str]] = {}  # Note → the configurations that it is about.
    for record, label, speed in zip(records, labels, speeds, strict=True):
        measurement = measurement_of(record)
        name = f"{record.label}, {label if label != MISSING else measurement.configuration.label}"
        texts = (*measurement.reasons, *measurement.warnings, measurement.rate_reason, *record.notes)
        for text in filter(None, texts):
            names.setdefault(text, []).append(name)
        timing = measurement.pass_timing
        if timing is None or not speed:
            rows.append((Cell(record.label), label, *[MISSING] * 3, measurement.status, *[MISSING] * 3))
            continue
        half_width = relative_half_width(timing)
        rows.append(
            (
                Cell(record.label),
                label,
                scaled(record.totals.macs, digits=3),
                seconds(timing.median_s),
                MISSING if isinf(half_width) else percent(min(half_width, 1.0)),
                measurement.quality,
                times(speed / first),
                scaled(speed, digits=3),
                MISSING if measurement.rate_reason else plain(total_flops(record.rows) / timing.median_s / 1e9),
            )
        )
    notes = [f"{_listed(listed)}: {text}" for text, listed in names.items()]
    doubtful = [
        measurement
        for measurement in map(measurement_of, records)
        if measurement.pass_timing and {measurement.quality, measurement.operator_quality[0]} != {"trusted"}
    ]
    if doubtful:
        varies = any("reference workload" in measurement.reason for measurement in doubtful)
        notes.append(f"{MORE_SAMPLES} {REFERENCE}" if varies else MORE_SAMPLES)
    if any(measurement_of(record).configuration.training for record in records):
        notes.append(TRAINING)
    # Narrow terminals drop columns from the right, and a time must not be shown without its quality.
    titles = ("model", "configuration", "MACs", "time", "±", "quality", "speed", "per s", "GFLOP/s")
    headings = columns(*titles, left=("configuration", "quality"))
    table = Table(f"Time of a pass: {shared}", headings, tuple(rows), notes=(*notes, SEE_CONVENTIONS))
    return _without_configuration(table, labels)


def _samples_per_s(measurement: Measurement) -> float:
    timing = measurement.pass_timing
    return measurement.configuration.batch / timing.median_s if timing else 0.0


def _labels(records: Sequence[Record]) -> tuple[str, list[str]]:
    """The settings that all configurations share, and for each the settings that differ."""
    configurations = [measurement_of(record).configuration for record in records]
    columns = list(zip(*(configuration.words for configuration in configurations), strict=True))
    differs = [len(set(column)) > 1 for column in columns]
    common = {column[0] for column, different in zip(columns, differs, strict=True) if not different}
    shared = [word for word in configurations[0].label.split(", ") if word in common]
    labels = [
        ", ".join(word for word, different in zip(configuration.words, differs, strict=True) if different)
        for configuration in configurations
    ]
    return ", ".join(shared), [label or MISSING for label in labels]


def _listed(names: Sequence[str]) -> str:
    """The configurations of one note, each once."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - MAX_LISTED} more" if len(unique) > MAX_LISTED else ""
    return "; ".join(unique[:MAX_LISTED]) + more


def sum_table(records: Sequence[Record]) -> Table:
    """How well operators and overhead add up to the pass, GPU utilization, and how many samples there are."""
    _, labels = _labels(records)
    has_gpu_time = any(measurement_of(record).of("device") for record in records)
    rows: list[TableRow] = []
    for record, label in zip(records, labels, strict=True):
        measurement = measurement_of(record)
        timing, total = measurement.uninstrumented, sum(measurement.operator_times_s.values())
        assert timing is not None
        sums = (MISSING, MISSING)
        if total:
            sums = f"{100 * total / timing.interquartile_mean_s:.1f} %", percent(measurement.overhead_s / total)
        gpu = _gpu_cells(measurement) if has_gpu_time else ()
        counts = (str(len(timing.samples_s)), str(len(timing.processes)), measurement.operator_quality[0])
        rows.append((Cell(record.label), label, *gpu, *sums, *counts))
    gpu_titles = ("GPU time", "GPU utilization") if has_gpu_time else ()
    titles = ("model", "configuration", *gpu_titles, "sum", "overhead", "passes", "processes", "quality")
    headings = columns(*titles, left=("configuration", "quality"))
    return _without_configuration(Table("Sum of the operators", headings, tuple(rows)), labels)


def _without_configuration(table: Table, labels: Sequence[str]) -> Table:
    """The table without its second column if all records have the same configuration, which is in the title."""
    if set(labels) != {MISSING}:
        return table
    rows = tuple((row[0], *row[2:]) for row in table.rows)
    return table.replace(columns=(table.columns[0], *table.columns[2:]), rows=rows)


def _gpu_cells(measurement: Measurement) -> tuple[str, str]:
    device = next(iter(measurement.of("device")), None)
    if device is None or measurement.pass_timing is None:
        return MISSING, MISSING
    return seconds(device.median_s), percent(device.median_s / measurement.pass_timing.median_s)


def modules_by_configuration(records: Sequence[Record], depth: int) -> list[Table]:
    """Times by module of one model at several configurations, at most MAX_COLUMNS of them per table."""
    _, labels = _labels(records)
    qualities = [measurement_of(record).operator_quality[0] for record in records]
    titles = [
        label if quality == "trusted" else f"{label}, {quality}"
        for label, quality in zip(labels, qualities, strict=True)
    ]
    groups = [module_groups(record, depth) for record in records]
    names: dict[tuple[str, ...], TableRow] = {}
    for grouped in groups:
        for key, (name, part) in grouped.items():
            names.setdefault(key, (name, share_of_macs(part, grouped[TOTAL][1])))
    names[TOTAL] = names.pop(TOTAL)  # Last.
    width = ceil(len(records) / ceil(len(records) / MAX_COLUMNS))
    shown = []
    for start in range(0, len(records), width):
        chosen = slice(start, start + width)
        rows = tuple(
            (*name, *(time_text(part[key][1].seconds if key in part else None) for part in groups[chosen]))
            for key, name in names.items()
        )
        headings = (Column("module", "left", "start"), Column("share of MACs"), *map(Column, titles[chosen]))
        shown.append(Table(f"{records[0].label}: time by module", headings, rows, total=True))
    return shown


def kind_shares(records: Sequence[Record]) -> Table:
    """Share of each kind of operator in the time of several records; the kinds with the largest share first."""
    _, labels = _labels(records)
    shares: list[dict[str, float]] = []
    for record in records:
        groups = groups_by_kind(record)
        total = sum(part.seconds for part in groups.values())
        shares.append({name: part.seconds / total for name, part in groups.items()})
    names = {name for share in shares for name in share}
    shown = sorted(names, key=lambda name: -max(share.get(name, 0) for share in shares))[:MAX_KINDS]
    rows: list[TableRow] = []
    for record, label, share in zip(records, labels, shares, strict=True):
        rest = sum(value for name, value in share.items() if name not in shown)
        percents = [percent(share[name]) if name in share else MISSING for name in shown]
        rows.append((Cell(record.label), label, *percents, percent(rest)))
    titles = ("model", "configuration", *(SHORT.get(name, name) for name in shown), "rest")
    return Table("Share of the time by kind of operator", columns(*titles, left=("configuration",)), tuple(rows))
