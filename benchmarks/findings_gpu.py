"""The part of docs/findings.md that a GPU was measured for: what a pass takes as it is issued, and the device alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

from analyzer.core.units import percent, rate, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Timing
from analyzer.timing.machine.roofline import measured
from analyzer.timing.statistics import interval
from reports.timing.parts import by_kind, cell_of, work

HOW = "--device cuda --budget 4 --processes 3 --no-keep --format json -o"
NETWORKS = (
    "--variant googlenet,googlenet-naive,googlenet-no-reduction,googlenet-fc-head,alexnet --batch 1,8 "
    f"{HOW} benchmarks/results/cuda.json"
)
LAYOUTS = (
    "--variant googlenet --batch 64 --dtype float32,bfloat16 --layout contiguous,channels_last "
    f"{HOW} benchmarks/results/cuda_layouts.json"
)


def head(records: Sequence[Record]) -> str:
    environment = records[0].environment
    gpu, torch = environment["gpu"], environment["torch"]
    precision = "convolutions in tf32, as torch has it by default" if gpu["tf32_convolutions"] else "no tf32"
    peaks = {peak["name"]: peak for peak in environment["peaks"] if peak.get("device") == gpu["name"]}
    told = ", ".join(
        f"{name} {rate(peaks[name]['value'], peaks[name]['unit'])}"
        for name in ("float32", "tf32", "bfloat16", "copy L2", "copy memory")
    )
    return (
        "## On a GPU, measured\n\n"
        f"Measured {str(records[0].created)[:10]} on {gpu['name']} (driver {gpu['driver']}, power cap "
        f"{gpu['power_cap_w']:.0f} W), torch {torch['version']}, {precision}, {environment['processor']['count']} "
        f"processors of {environment['processor']['model']}. What it reaches at most, measured before: {told}.\n\n"
        f"```sh\nanalyze machine --device cuda\nanalyze time {NETWORKS}\nanalyze time {LAYOUTS}\n```\n\n"
        "`alone` is the same un-instrumented pass while the device waits until all of it is issued; `busy` is its part "
        "of the pass as the host issues it: what is left, the device waits for launches. FLOP/s are the device's "
        "own. The time with the GPU was short: measurements that were cut short are marked partial, and `±` is wide of three "
        "processes or two."
    )


def wholes(records: Sequence[Record]) -> str:
    lines = [
        "| network | batch | type, layout | as issued | ± | alone | ± | busy | TFLOP/s | parts ÷ alone | qualities |",
        "|:--|--:|:--|--:|--:|--:|--:|--:|--:|--:|:--|",
    ]
    for record in records:
        measurement = cell_of(record)
        whole, (alone, *_), configuration = measurement.whole, measurement.of("device"), measurement.configuration
        assert whole is not None
        rate_alone = f"{work(record.rows) / alone.median_s / 1e12:.2f}"
        figures = [
            *(seconds(whole.median_s), _doubt(whole), seconds(alone.median_s), _doubt(alone)),
            *(percent(alone.median_s / whole.median_s), rate_alone),
            f"{sum(measurement.parts.values()) / alone.middle_s:.4f}",
        ]
        status = "" if measurement.status == "ok" else f", {measurement.status}"
        lines.append(
            f"| `{record.label}` | {configuration.batch} | {configuration.dtype}, {configuration.layout} | {' | '.join(figures)} | "
            f"{whole.quality}, {alone.quality}{status} |"
        )
    return "\n".join(lines)


def _doubt(timing: Timing) -> str:
    low, high = interval(timing)
    half = (high - low) / 2 / timing.median_s
    return "-" if isinf(half) else percent(half) if half < 1 else "> 100 %"


def bounds(records: Sequence[Record]) -> str:
    """How much of what the device reaches at most the kinds of operators do."""
    lines = [
        "Of what the device reaches at most, by the roofline of its measured peaks (float32 held against tf32):\n",
        "| network | batch | type, layout | conv2d | max_pool2d | relu | local_response_norm | all |",
        "|:--|--:|:--|--:|--:|--:|--:|--:|",
    ]
    for record in records:
        configuration, kinds = cell_of(record).configuration, by_kind(record)
        limits = measured(record.environment["peaks"], record.environment, configuration)
        assert limits is not None
        shares = []
        for name in ("conv2d", "max_pool2d", "relu", "local_response_norm", ""):
            some = [kinds[name]] if name else list(kinds.values())
            least = 0.0
            for flops, read, written in (one for part in some for one in part.works):
                least += max(flops / limits.flops_per_s, (read + written) / limits.level(read).bytes_per_s)
            shares.append(percent(least / sum(part.seconds for part in some)))
        lines.append(
            f"| `{record.label}` | {configuration.batch} | {configuration.dtype}, {configuration.layout} | {' | '.join(shares)} |"
        )
    return "\n".join(lines)
