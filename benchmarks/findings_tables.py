"""The tables of docs/findings.md, as Markdown, from stored records."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isinf
from pathlib import Path
from statistics import median

import numpy as np
import pandas

from analyzer.core.units import percent, scaled, seconds, times
from analyzer.records.record import Record
from analyzer.records.timings import Configuration, Timing
from analyzer.timing.machine.roofline import measured_ceilings, roofline_point
from analyzer.timing.statistics import bootstrap_median, by_process, relative_half_width
from reports.timing.breakdown import Group, groups_by_kind, measurement_of, total_flops

TITAN_X = Path(__file__).parents[1] / "tests" / "reference"
TITAN_X_BATCH = 128
PROCESSES = 10
POOL_AND_LRN = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "local_response_norm")
ROOFLINE_KINDS = ("conv2d", "max_pool2d", "relu", "local_response_norm")


def _table(titles: str, rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; `titles` are separated by commas, and those that start with `<` are left-aligned."""
    names = [title.strip() for title in titles.split(",")]
    lines = [[name.lstrip("<") for name in names], [":--" if name[0] == "<" else "--:" for name in names], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _name(record: Record) -> tuple[str, str]:
    """The network, and its batch with dtype and layout unless they are the default."""
    configuration, default = measurement_of(record).configuration, Configuration()
    other = [getattr(configuration, name) for name in ("dtype", "layout")]
    shown = [value for value in other if value not in (default.dtype, default.layout)]
    return f"`{record.label}`", ", ".join([str(configuration.batch), *shown])


def _name_titles(timed: Sequence[Record]) -> str:
    """The titles of the two columns that `_name` fills."""
    only_batches = all(_name(record)[1].isdigit() for record in timed)
    return "<network, batch" if only_batches else "<network, batch (and dtype or layout)"


def _half_width(timing: Timing) -> str:
    share = relative_half_width(timing)
    return "-" if isinf(share) else percent(share) if share < 1 else "> 100 %"


def _pass(record: Record) -> Timing:
    timing = measurement_of(record).pass_timing
    assert timing is not None
    return timing


def networks_table(cpu: Sequence[Record]) -> str:
    rows = []
    for record in cpu:
        measurement, timing = measurement_of(record), _pass(record)
        batch = measurement.configuration.batch
        macs = f"{record.totals.macs / batch / 1e9:.3f} G"
        gflops_per_s = total_flops(record.rows) / timing.median_s / 1e9
        speed = (f"{batch / timing.median_s:.1f}", f"{gflops_per_s:.1f}")
        spread = (_spread(timing), *map(_spread, measurement.of("reference_workload")))
        disturbed = f" ({measurement.reason})" if "disturbed" in measurement.reason else ""
        quality = f"{measurement.quality}{disturbed}"
        rows.append((*_name(record), macs, seconds(timing.median_s), _half_width(timing), *spread, *speed, quality))
    titles = (
        "MACs per sample, time of a pass, ±, spread of processes, spread of the reference, samples/s, GFLOP/s, <quality"
    )
    return _table(f"{_name_titles(cpu)}, {titles}", rows)


def _spread(timing: Timing) -> str:
    """(Slowest process median ÷ fastest) − 1."""
    medians = process_medians(timing)
    return percent(max(medians) / min(medians) - 1)


def page_faults_table(cpu: Sequence[Record]) -> str:
    """Page faults from the warnings of records of either schema: only these have the numbers."""
    rows = []
    for record in cpu:
        for warning in measurement_of(record).warnings:
            share = re.search(r"took (\d+ %)", warning)
            faults = re.search(r"([\d,]+) (page faults a|per) pass", warning)
            if share is None or faults is None:
                sys.exit(f"{record.label} has a warning that is not about page faults: {warning}")
            rows.append((*_name(record), faults[1], share[1]))
    return _table("<network, batch, page faults per pass, share of CPU time", rows)


def pool_and_lrn(record: Record) -> tuple[float, float]:
    """Their shares of FLOPs and of the time."""
    groups = groups_by_kind(record)
    flops = sum(row.flops for row in record.rows if row.op in POOL_AND_LRN)
    time_s = sum(group.seconds for kind, group in groups.items() if kind in POOL_AND_LRN)
    return flops / record.totals.flops, time_s / sum(group.seconds for group in groups.values())


def pool_and_lrn_table(timed: Sequence[Record]) -> str:
    rows = [(*_name(record), *map(percent, pool_and_lrn(record))) for record in timed]
    return _table(f"{_name_titles(timed)}, share of FLOPs, share of time", rows)


def kinds_table(timed: Sequence[Record]) -> str:
    """Kinds of at least 1 % of the time of some record, by their longest time in any."""
    groups = [groups_by_kind(record) for record in timed]
    times_s = pandas.DataFrame([{name: group.seconds for name, group in kinds.items()} for kinds in groups])
    shares = times_s.div(times_s.sum(axis=1), axis=0)
    longest = times_s.max().sort_values(ascending=False)
    shown = [str(name) for name in longest.index if shares[name].max() >= 0.01]
    rows = [
        (*_name(record), *("-" if pandas.isna(share) else percent(share) for share in row))
        for record, row in zip(timed, shares[shown].to_numpy(), strict=True)
    ]
    return _table(f"{_name_titles(timed)}, {', '.join(shown)}", rows)


def process_medians(timing: Timing) -> list[float]:
    """The median of each process, in the order of the rounds."""
    return [float(np.median(samples)) for samples in by_process(timing)]


def layouts_table(timed: Sequence[Record]) -> str:
    rows = []
    pairs: dict[tuple[str, int], dict[str, Record]] = defaultdict(dict)
    for record in timed:
        configuration = measurement_of(record).configuration
        pairs[record.label, configuration.batch][configuration.layout] = record
    for (label, batch), by_layout in pairs.items():
        pair = [by_layout[layout] for layout in ("contiguous", "channels_last")]
        medians = [process_medians(_pass(record)) for record in pair]
        if min(map(len, medians)) < PROCESSES:
            sys.exit(f"{label}, batch {batch}: a round without undisturbed samples has no ratio; measure it again")
        ratios = [contiguous / channels_last for contiguous, channels_last in zip(*medians, strict=True)]
        low, high = bootstrap_median([np.array([ratio]) for ratio in ratios])
        qualities = ", ".join(measurement_of(record).quality for record in pair)
        pass_times = [seconds(_pass(record).median_s) for record in pair]
        ratio = (times(median(ratios)), f"{low:.2f} to {high:.2f}")
        rows.append((f"`{label}`", str(batch), *pass_times, *ratio, qualities))
    return _table("<network, batch, contiguous, channels_last, ratio, <interval, <quality", rows)


def gpu_networks_table(gpu: Sequence[Record]) -> str:
    rows = []
    for record in gpu:
        measurement, wall = measurement_of(record), _pass(record)
        (device,) = measurement.of("device")
        status = "" if measurement.status == "ok" else f", {measurement.status}"
        rows.append(
            (
                *_name(record),
                *(seconds(wall.median_s), _half_width(wall), seconds(device.median_s), _half_width(device)),
                percent(device.median_s / wall.median_s),
                f"{total_flops(record.rows) / device.median_s / 1e12:.2f}",
                f"{sum(measurement.operator_times_s.values()) / device.interquartile_mean_s:.4f}",
                wall.quality,
                f"{device.quality}{status}",
            )
        )
    titles = f"{_name_titles(gpu)}, wall time, ±, GPU time, ±, utilization, TFLOP/s, sum of operators ÷ GPU time"
    return _table(f"{titles}, <quality of wall time, <quality of GPU time", rows)


def roofline_table(timed: Sequence[Record]) -> str:
    """Share of the attainable performance by kind of operator, and of the whole pass."""
    rows = []
    for record in timed:
        configuration, groups = measurement_of(record).configuration, groups_by_kind(record)
        ceilings = measured_ceilings(record.environment["peaks"], record.environment, configuration)
        assert ceilings is not None
        whole = Group(
            (), sum(group.seconds for group in groups.values()), 0, 0,
            tuple(work for group in groups.values() for work in group.works),
        )  # fmt: skip
        points = [
            roofline_point([work.direct for work in group.works], group.seconds, ceilings)
            for group in (*(groups[kind] for kind in ROOFLINE_KINDS), whole)
        ]
        rows.append((*_name(record), *(percent(point.share_of_bound) if point else "-" for point in points)))
    return _table(f"{_name_titles(timed)}, {', '.join(ROOFLINE_KINDS)}, whole pass", rows)


def titan_x_table() -> str:
    """Published layer times of Caffe, by kind of layer; kinds below 0.5 % are left out."""
    rows = []
    for name in ("googlenet", "alexnet"):
        layers = pandas.read_csv(TITAN_X / f"caffe_titanx_{name}_layer_ms.csv")
        kinds = layers.groupby("type")[["forward_ms_batch128", "macs_per_image"]].sum()
        total_s = kinds["forward_ms_batch128"].sum() * 1e-3
        for kind, time_ms, macs in kinds.sort_values("forward_ms_batch128", ascending=False).itertuples(name=None):
            time_s = time_ms * 1e-3
            if time_s >= 0.005 * total_s:
                tflops = f"{2 * macs * TITAN_X_BATCH / time_s / 1e12:.2f}" if macs else "-"
                share = seconds(time_s), percent(time_s / total_s)
                rows.append((f"`{name}`", kind, scaled(macs) if macs else "-", *share, tflops))
    return _table("<network, <kind of layer, MACs per sample, forward, share of forward, TFLOP/s", rows)
