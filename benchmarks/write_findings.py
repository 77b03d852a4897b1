"""Writes docs/findings.md from the stored records: time that FLOPs do not explain.

python -m benchmarks.write_findings            reads benchmarks/results/*.json; no number on the page is typed by hand
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analyzer.core.units import rate
from analyzer.records.record import Record
from analyzer.records.record_json import load
from benchmarks.common import parse_options
from benchmarks.findings_tables import (
    TITAN_X_BATCH,
    gpu_networks_table,
    kinds_table,
    layouts_table,
    networks_table,
    page_faults_table,
    pool_and_lrn_table,
    roofline_table,
    titan_x_table,
)
from reports.timing.breakdown import measurement_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "findings.md"
NETWORKS = "--variant googlenet,googlenet-naive,googlenet-no-reduction,googlenet-fc-head,alexnet --batch 1,8"
CPU_OPTIONS = "--budget 30 --processes 10 --no-keep --format json"
CPU_COMMANDS = f"""\
analyze time {NETWORKS} {CPU_OPTIONS} -o benchmarks/results/networks.json
analyze time --variant googlenet,alexnet --batch 1,8 --layout contiguous,channels_last {CPU_OPTIONS} \
-o benchmarks/results/layouts.json"""
GPU_OPTIONS = "--device cuda --budget 4 --processes 3 --no-keep --format json"
GPU_COMMANDS = f"""\
analyze machine --device cuda
analyze time {NETWORKS} {GPU_OPTIONS} -o benchmarks/results/cuda.json
analyze time --variant googlenet --batch 64 --dtype float32,bfloat16 --layout contiguous,channels_last {GPU_OPTIONS} \
-o benchmarks/results/cuda_layouts.json"""


def records(name: str) -> list[Record]:
    return load((RESULTS / f"{name}.json").read_text(encoding="utf-8"), name=f"{name}.json")


def page() -> str:
    """The whole page as Markdown."""
    cpu, gpu = records("networks"), records("cuda")
    all_gpu = [*gpu, *records("cuda_layouts")]
    sections = [
        _introduction(cpu),
        "## Five networks",
        "Time of a pass: the median over ten processes; ± is the half width of its 95 % confidence interval. GFLOP/s: "
        "the FLOPs of a pass ÷ its time. Spread of processes: slowest ÷ fastest median of a process, minus 1. Spread "
        "of the reference: the same for the reference workload, a fixed computation in the same processes. If both "
        "spreads are large, the machine's speed varied.",
        networks_table(cpu),
        "### Page faults",
        "The table has the runs in which page faults took at least 3 % of the CPU time: memory that a pass frees goes "
        "back to the system, and the next pass causes page faults again. "
        "`MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184` avoids this.",
        page_faults_table(cpu),
        "## Pooling and LRN: few FLOPs, much of the time",
        pool_and_lrn_table(cpu),
        "## Share of the time by kind of operator",
        kinds_table(cpu),
        "## Speedup by channels_last",
        "The ratio is contiguous ÷ channels_last, the median over rounds. In a round each configuration runs in one "
        "fresh process, so a slow moment of the machine affects both. The interval is the ratio's 95 % confidence "
        "interval. Quality: that of contiguous, then that of channels_last.",
        layouts_table(records("layouts")),
        "## On a GPU, measured",
        _gpu_introduction(gpu),
        gpu_networks_table(all_gpu),
        "Pooling and LRN, as a share of GPU time:",
        pool_and_lrn_table(all_gpu),
        "Share of GPU time by kind of operator:",
        kinds_table(all_gpu),
        "Share of the performance that the measured roofline allows (float32 convolutions may use tf32, so their peak "
        "is that of tf32):",
        roofline_table([record for record in all_gpu if record.label == "googlenet"]),
        "## On a GPU, published",
        f"Caffe's own layer times of its reference networks on a GeForce GTX Titan X (Maxwell), batch {TITAN_X_BATCH}: "
        "**published, not measured here**. Kinds of layers below 0.5 % of the time are left out. TFLOP/s count 2 FLOPs "
        "per MAC and nothing else.",
        titan_x_table(),
    ]
    return "\n\n".join(sections) + "\n"


def _introduction(cpu: Sequence[Record]) -> str:
    processor, torch = cpu[0].environment["processor"], cpu[0].environment["torch"]
    return (
        "# Findings: time that FLOPs do not explain\n\n"
        "`python -m benchmarks.write_findings` writes this page from the records in `benchmarks/results/`, which "
        "contain every sample. [timing.md](timing.md) defines the terms.\n\n"
        f"Measured on {str(cpu[0].created)[:10]}: {processor['model']} ({processor['count']} processors, "
        f"{torch['capability']}, a virtual machine), torch {torch['version']}, float32, "
        f"{measurement_of(cpu[0]).configuration.threads} threads. Results on GPUs follow below. "
        "`alexnet` is Caffe's AlexNet, with convolutions in two groups; `analyze list` describes the other "
        "networks.\n\n"
        f"```sh\n{CPU_COMMANDS}\n```"
    )


def _gpu_introduction(gpu: Sequence[Record]) -> str:
    environment = gpu[0].environment
    card, torch = environment["gpu"], environment["torch"]
    precision = "tf32 convolutions (PyTorch's default)" if card["tf32_convolutions"] else "no tf32"
    peaks = {peak["name"]: peak for peak in environment["peaks"] if peak.get("device") == card["name"]}
    listed = ", ".join(
        f"{name} {rate(peaks[name]['value'], peaks[name]['unit'])}"
        for name in ("float32", "tf32", "bfloat16", "copy L2", "copy memory")
    )
    return (
        f"Measured on {str(gpu[0].created)[:10]}: {card['name']} (driver {card['driver']}, power cap "
        f"{card['power_cap_w']:.0f} W), torch {torch['version']}, {precision}, {environment['processor']['count']} "
        f"processors of {environment['processor']['model']}. Measured peaks: {listed}.\n\n"
        f"```sh\n{GPU_COMMANDS}\n```\n\n"
        "GPU time is the time of the same pass if it is queued completely before the GPU starts; utilization is GPU "
        "time relative to wall time. A low utilization means that the GPU waits for kernel launches. TFLOP/s are the "
        "FLOPs of the pass ÷ GPU time. GPU access was limited: measurements that were cut short are marked partial, "
        "and intervals are wide, because there were only two or three processes."
    )


if __name__ == "__main__":
    parse_options(__doc__)
    PAGE.write_text(page(), encoding="utf-8")
