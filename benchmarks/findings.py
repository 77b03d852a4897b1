"""docs/findings.md from the kept records: what FLOPs hide. No figure on the page is typed by hand.

python -m benchmarks.findings            writes docs/findings.md from benchmarks/results/*.json
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median

import numpy as np

from analyzer.core.units import percent, seconds
from analyzer.records.envelope import load
from analyzer.records.record import Record
from analyzer.records.timings import Configuration, Timing
from analyzer.timing.statistics import bootstrap, interval
from benchmarks import findings_gpu
from reports.timing.parts import by_kind, cell_of, work

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TITANX = ROOT / "tests" / "reference"
PAGE = ROOT / "docs" / "findings.md"
BATCH = 128  # Of the published layer times.
PROCESSES = 10
HOW = f"--batch 1,8 --processes {PROCESSES} --no-keep --format json -o"  # How the records were taken.
NETWORKS = f"--variant googlenet,googlenet-naive,googlenet-no-reduction,googlenet-fc-head,alexnet --budget 30 {HOW}"
LAYOUTS = f"--variant googlenet,alexnet --layout contiguous,channels_last --budget 30 {HOW}"
HIDDEN_TITLE = "## Pooling and LRN: hardly any FLOPs, much of the time"
KINDS_TITLE = "## Share of the time by kind of operator"
HIDDEN_GPU = "Pooling and LRN on it, of the device's own time:"
KINDS_GPU = "Share of the device's own time by kind of operator:"
HIDDEN = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "local_response_norm")


def page() -> str:
    """The whole page as Markdown."""
    networks = load((RESULTS / "networks.json").read_text(encoding="utf-8"), name="networks.json")
    layouts = load((RESULTS / "layouts.json").read_text(encoding="utf-8"), name="layouts.json")
    cuda = load((RESULTS / "cuda.json").read_text(encoding="utf-8"), name="cuda.json")
    cuda_layouts = load((RESULTS / "cuda_layouts.json").read_text(encoding="utf-8"), name="cuda_layouts.json")
    gpu = [*cuda, *cuda_layouts]
    googlenet = [record for record in gpu if record.label == "googlenet"]
    parts = [_head(networks), _wholes(networks), _beside(networks)]
    parts += [HIDDEN_TITLE, _hidden(networks), KINDS_TITLE, _kinds(networks), _layouts(layouts)]
    parts += [findings_gpu.head(cuda), findings_gpu.wholes(gpu), HIDDEN_GPU, _hidden(gpu), KINDS_GPU, _kinds(gpu)]
    return "\n\n".join([*parts, findings_gpu.bounds(googlenet), _titanx()]) + "\n"


def _head(records: Sequence[Record]) -> str:
    environment = records[0].environment
    processor, torch = environment["processor"], environment["torch"]
    return (
        "# What FLOPs hide\n\n"
        "Made by `python -m benchmarks.findings` from the records in `benchmarks/results/`, which hold every sample; "
        "none of these figures is typed by hand. What the words mean is in [timing.md](timing.md).\n\n"
        f"Measured {str(records[0].created)[:10]} on {processor['model']} ({processor['count']} processors, "
        f"{torch['capability']}, a virtual machine), torch {torch['version']}, in float32, "
        f"{cell_of(records[0]).configuration.threads} threads; a GPU, measured and published, stands below.\n\n"
        f"```sh\nanalyze time {NETWORKS} benchmarks/results/networks.json\n"
        f"analyze time {LAYOUTS} benchmarks/results/layouts.json\n```"
    )


def _wholes(records: Sequence[Record]) -> str:
    lines = [
        "## Five networks\n",
        "| network | batch | MACs of a sample | time of a pass | ± | samples/s | GFLOP/s | quality |",
        "|:--|--:|--:|--:|--:|--:|--:|:--|",
    ]
    for record in records:
        measurement, whole = cell_of(record), cell_of(record).whole
        assert whole is not None
        low, high = interval(whole)
        time, batch = whole.median_s, measurement.configuration.batch
        quality = measurement.quality + (f" ({measurement.reason})" if measurement.reason else "")
        spread, rate = percent((high - low) / 2 / time), f"{work(record.rows) / time / 1e9:.1f}"
        lines.append(
            f"| `{record.label}` | {batch} | {record.totals.macs / batch / 1e9:.3f} G | {seconds(time)} | {spread} | "
            f"{batch / time:.1f} | {rate} | {quality} |"
        )
    return "\n".join(lines)


def _beside(records: Sequence[Record]) -> str:
    lines = ["## What the runs said beside\n"]
    for record in records:
        measurement = cell_of(record)
        lines += [
            f"- `{record.label}`, batch {measurement.configuration.batch}: {warning}"
            for warning in measurement.warnings
        ]
    return "\n".join(lines if len(lines) > 1 else [*lines, "Nothing."])


def _hidden(records: Sequence[Record]) -> str:
    """Pools and LRN: their part of the FLOPs beside their part of the time."""
    lines = [
        "| network | batch | their share of FLOPs | their share of time |",
        "|:--|--:|--:|--:|",
    ]
    for record in records:
        kinds = by_kind(record)
        whole = sum(part.seconds for part in kinds.values())
        flops = sum(row.flops for row in record.rows if row.op in HIDDEN)
        time = sum(part.seconds for kind, part in kinds.items() if kind in HIDDEN)
        shares = f"{percent(flops / record.totals.flops)} | {percent(time / whole)}"
        lines.append(f"| `{record.label}` | {_batch(record)} | {shares} |")
    return "\n".join(lines)


def _kinds(records: Sequence[Record]) -> str:
    kinds = [by_kind(record) for record in records]
    wholes = [sum(part.seconds for part in one.values()) for one in kinds]
    names = sorted({name for one in kinds for name in one}, key=lambda n: -max(k[n].seconds for k in kinds if n in k))
    shown = [
        name for name in names
        if max(one[name].seconds / whole for one, whole in zip(kinds, wholes, strict=True) if name in one) >= 0.01
    ]  # fmt: skip
    lines = [
        f"| network | batch | {' | '.join(shown)} |",
        f"|:--|--:|{'--:|' * len(shown)}",
    ]
    for record, one, whole in zip(records, kinds, wholes, strict=True):
        measurements = [percent(one[name].seconds / whole) if name in one else "-" for name in shown]
        lines.append(f"| `{record.label}` | {_batch(record)} | {' | '.join(measurements)} |")
    return "\n".join(lines)


def _batch(record: Record) -> str:
    """`8`, or `8, bfloat16, channels_last` where these are not the usual."""
    configuration, usual = cell_of(record).configuration, Configuration()
    return ", ".join(
        [str(configuration.batch), *(getattr(configuration, name) for name in ("dtype", "layout")
                               if getattr(configuration, name) != getattr(usual, name))]
    )  # fmt: skip


def _layouts(records: Sequence[Record]) -> str:
    lines = [
        "## What a layout is worth\n",
        "A ratio is the median over the rounds, in each of which every measurement had one fresh process: what slows the "
        "machine down slows both. Beside it its 95 % interval.\n",
        "| network | batch | contiguous | channels_last | ratio | interval | qualities |",
        "|:--|--:|--:|--:|--:|:--|:--|",
    ]
    measurements = {
        (one.label, cell_of(one).configuration.batch, cell_of(one).configuration.layout): cell_of(one)
        for one in records
    }
    for label, batch in dict.fromkeys((label, batch) for label, batch, _ in measurements):
        one, other = measurements[label, batch, "contiguous"], measurements[label, batch, "channels_last"]
        assert one.whole is not None
        assert other.whole is not None
        ratios = [a / b for a, b in zip(_by_process(one.whole), _by_process(other.whole), strict=False)]
        if min(len(ratios), len(one.whole.processes), len(other.whole.processes)) < PROCESSES:
            sys.exit(f"{label}, batch {batch}: a round without clean samples has no ratio; measure it again")
        low, high = bootstrap([np.array([ratio]) for ratio in ratios])
        lines.append(
            f"| `{label}` | {batch} | {seconds(one.whole.median_s)} | {seconds(other.whole.median_s)} | "
            f"{median(ratios):.2f} | {low:.2f} to {high:.2f} | {one.quality}, {other.quality} |"
        )
    return "\n".join(lines)


def _by_process(timing: Timing) -> list[float]:
    """The median of each process, in the order of the rounds."""
    edges = [0, *accumulate(timing.processes)]
    return [median(timing.samples_s[start:end]) for start, end in pairwise(edges)]


def _titanx() -> str:
    """Published layer times of Caffe on a Titan X, by kind of layer."""
    lines = [
        "## On a GPU, published\n",
        f"Caffe's own timing of its reference networks on a GeForce GTX Titan X (Maxwell), batch {BATCH}: **published, "
        "not measured here**. Achieved TFLOP/s count a multiply-add as 2, and only multiply-adds.\n",
        "| network | kind of layer | MACs of a sample | forward | share of forward | achieved TFLOP/s |",
        "|:--|:--|--:|--:|--:|--:|",
    ]
    for name in ("googlenet", "alexnet"):
        with (TITANX / f"caffe_titanx_{name}_layer_ms.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        times: dict[str, float] = defaultdict(float)
        macs: dict[str, int] = defaultdict(int)
        for row in rows:
            times[row["type"]] += float(row["forward_ms_batch128"]) * 1e-3
            macs[row["type"]] += int(row["macs_per_image"])
        whole = sum(times.values())
        for kind in sorted(times, key=lambda kind: -times[kind]):
            if times[kind] < 0.005 * whole:
                continue
            rate = f"{2 * macs[kind] * BATCH / times[kind] / 1e12:.2f}" if macs[kind] else "-"
            count = f"{macs[kind] / 1e6:.1f} M" if macs[kind] else "-"
            lines.append(
                f"| `{name}` | {kind} | {count} | {seconds(times[kind])} | {percent(times[kind] / whole)} | {rate} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
