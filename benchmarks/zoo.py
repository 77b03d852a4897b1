"""`make zoo`: compares every torchvision model with its published figures, and counts every architecture of timm and
every default configuration of transformers.

Needs the extra `zoo`. Writes docs/zoo.md: matches, differences with their causes, unknown operators, time, memory.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count_reference
from analyzer.records.record import Record
from benchmarks import transformers
from benchmarks.common import parse_options
from benchmarks.object_detectors import UNEXPLAINED, explained

PAGE = Path(__file__).parent.parent / "docs" / "zoo.md"


class Entry(NamedTuple):
    """One model's count or error. `published` is (GMACs to three decimals, params), None if nothing is published."""

    name: str
    record: Record | None
    error: str
    seconds: float
    cpu_seconds: float
    published: tuple[float, int] | None = None

    @property
    def matches(self) -> bool:
        if self.record is None or self.published is None:
            return False
        used = sum(row.params for row in self.record.rows if row.op != "unused")
        macs, params = self.published
        return round(self.record.totals.macs / 1e9, 3) == macs and params in (used, self.record.totals.params)


def count(name: str, published: tuple[float, int] | None = None) -> Entry:
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    try:
        record, error = count_reference(name), ""
    except AnalyzerError as failure:
        record, error = None, str(failure)
    return Entry(name, record, error, time.perf_counter() - start_s, time.process_time() - start_cpu_s, published)


def torchvision(kind: str) -> list[Entry]:
    import torch
    import torchvision.models as models

    module = models if kind == "classification" else getattr(models, kind)
    entries = []
    for name in models.list_models(module=module):
        torch.manual_seed(0)  # The boxes that a detector finds depend on its weights.
        meta: Any = models.get_model_weights(name).DEFAULT.meta
        entries.append(count(f"torchvision:{name}", (meta["_ops"], meta["num_params"])))
        print(".", end="", flush=True, file=sys.stderr)
    return entries


def timm() -> list[Entry]:
    import timm as library

    entries = []
    for name in library.list_models():
        entry = count(f"timm:{name}")
        # Drop the rows: a thousand records with a thousand rows each need too much memory.
        record = entry.record and entry.record.replace(count=entry.record.count.replace(rows=()))
        entries.append(entry._replace(record=record))
        print(".", end="", flush=True, file=sys.stderr)
    return entries


def section(kind: str, entries: list[Entry]) -> Iterable[str]:
    """A section of the page: the number of matches, and each difference with its cause."""
    different = [entry for entry in entries if not entry.matches]
    median_s = statistics.median(entry.seconds for entry in entries)
    yield f"\n## torchvision {kind}\n"
    causes = [explained(entry.record, *entry.published) for entry in different if entry.record and entry.published]
    exact = sum(bool(cause) and UNEXPLAINED not in cause for cause in causes)
    others = f"the {exact}" if exact == len(different) else f"{exact} of the {len(different)}"
    rest = f"; the causes in the table account for the whole difference of {others} others" if different else ""
    matches = len(entries) - len(different)
    yield f"{matches} of {len(entries)} match after rounding to the published digits{rest}."
    yield f"Median time per model: {median_s:.2f} s.\n"
    if different:
        yield "| model | GMACs | published GMACs | params | published params | cause of the difference |"
        yield "|:--|--:|--:|--:|--:|:--|"
    for entry in different:
        name = entry.name.partition(":")[2]
        macs, params = entry.published or (0.0, 0)
        if entry.record is None:
            yield f"| {name} | - | {macs} | - | {params:,} | {entry.error} |"
            continue
        totals = entry.record.totals
        cause = explained(entry.record, macs, params)
        yield f"| {name} | {totals.macs / 1e9:.3f} | {macs} | {totals.params:,} | {params:,} | {cause} |"


def page(sections: dict[str, list[Entry]], architectures: list[Entry]) -> str:
    unknown: Counter[str] = Counter()
    for entry in [*architectures, *(entry for entries in sections.values() for entry in entries)]:
        unknown.update(entry.record.unknown_ops if entry.record else {})
    counted = [entry for entry in architectures if entry.record is not None]
    on_real_tensors = [entry for entry in counted if entry.record is not None and entry.record.notes]
    on_meta = len(counted) - len(on_real_tensors) if on_real_tensors else "all"
    seconds = [entry.seconds for entry in architectures]
    cpu_seconds = [entry.cpu_seconds for entry in architectures]
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines = [
        "# Model zoo",
        "",
        f"`make zoo` wrote this page with torch {version('torch')}, torchvision {version('torchvision')} and timm "
        f"{version('timm')}. GMACs are 10^9 multiply-adds of a forward pass of one image. Published figures "
        "come from torchvision's weight metadata (`_ops`, which torchvision calls GFLOPS, and `num_params`).",
        *(line for kind, entries in sections.items() for line in section(kind, entries)),
        "\n## timm\n",
        f"{len(counted)} of {len(architectures)} architectures counted, {on_meta} on meta tensors. "
        f"Time per model, including building it: median {statistics.median(seconds):.2f} s, mean "
        f"{statistics.mean(seconds):.2f} s; CPU time: median {statistics.median(cpu_seconds):.2f} s, mean "
        f"{statistics.mean(cpu_seconds):.2f} s. Load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} "
        f"processors; peak memory of the whole run {peak_gib:.1f} GiB.",
        *(f"\n- {entry.name}: {entry.error}" for entry in architectures if entry.record is None),
        *(f"\n- {entry.name}: {entry.record.notes[0]}" for entry in on_real_tensors if entry.record),
        "" if unknown else "\nEvery operator of these models of torchvision and timm has a formula.",
        *(["\nOperators without a formula:\n"] if unknown else []),
        *(f"- {op}: {calls} calls" for op, calls in sorted(unknown.items())),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parse_options(__doc__)
    warnings.simplefilter("ignore")
    kinds = ("classification", "segmentation", "detection", "video", "optical_flow")
    sections = {kind: torchvision(kind) for kind in kinds}
    with TemporaryDirectory() as folder:
        results = transformers.survey(Path(folder) / "transformers.jsonl")
    PAGE.write_text("\n".join([page(sections, timm()), *transformers.section(results), ""]), encoding="utf-8")
    print(f"\nwrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
