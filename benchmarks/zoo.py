"""`make zoo`: every torchvision model against its published figures, every timm architecture counted on meta.

Needs the extra `zoo`. Writes docs/zoo.md: matches, differences with their causes, unknown operators, seconds, memory.
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
from typing import Any, NamedTuple

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count_reference
from analyzer.records.record import Record
from benchmarks.detectors import UNEXPLAINED, explained

PAGE = Path(__file__).parent.parent / "docs" / "zoo.md"


class Entry(NamedTuple):
    """One model's outcome. `published` is (GMACs to three decimals, params), None where nobody published any."""

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


def counted(name: str, published: tuple[float, int] | None = None) -> Entry:
    start, start_cpu = time.perf_counter(), time.process_time()
    try:
        record, error = count_reference(name), ""
    except AnalyzerError as failure:
        record, error = None, str(failure)
    return Entry(name, record, error, time.perf_counter() - start, time.process_time() - start_cpu, published)


def torchvision(kind: str) -> list[Entry]:
    import torch
    import torchvision.models as models

    module = models if kind == "classification" else getattr(models, kind)
    entries = []
    for name in models.list_models(module=module):
        torch.manual_seed(0)  # What a detector finds depends on its weights.
        meta: Any = models.get_model_weights(name).DEFAULT.meta
        entries.append(counted(f"torchvision:{name}", (meta["_ops"], meta["num_params"])))
        print(".", end="", flush=True, file=sys.stderr)
    return entries


def timm() -> list[Entry]:
    import timm as library

    entries = []
    for name in library.list_models():
        entry = counted(f"timm:{name}")
        # A thousand records of a thousand rows each: keep what the page needs.
        record = entry.record and entry.record.replace(count=entry.record.count.replace(rows=()))
        entries.append(entry._replace(record=record))
        print(".", end="", flush=True, file=sys.stderr)
    return entries


def section(kind: str, entries: list[Entry]) -> Iterable[str]:
    """A page section: how many match, and each that does not with its cause."""
    matches = sum(entry.matches for entry in entries)
    seconds = statistics.median(entry.seconds for entry in entries)
    yield f"\n## torchvision {kind}\n"
    causes = [explained(e.record, *e.published) if e.record and e.published else "" for e in entries if not e.matches]
    told = sum(bool(cause) and UNEXPLAINED not in cause for cause in causes)
    others = f", {told} of the other {len(causes)} explained to the last printed digit" if causes else ""
    yield f"{matches} of {len(entries)} at the printed precision{others}; median {seconds:.2f} s a model.\n"
    different = [entry for entry in entries if not entry.matches]
    if different:
        yield "| model | GMACs | published | params | published | cause |"
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
    done = [entry for entry in architectures if entry.record is not None]
    real = [entry for entry in done if entry.record is not None and entry.record.notes]
    lines = [
        "# The zoo",
        "",
        f"Written by `make zoo` with torch {version('torch')}, torchvision {version('torchvision')}, timm "
        f"{version('timm')}. GMACs are 10^9 multiply-adds of a forward pass of one image; published figures are "
        "torchvision's `_ops` and `num_params`.",
        *(line for kind, entries in sections.items() for line in section(kind, entries)),
        "\n## timm\n",
        f"{len(done)} of {len(architectures)} architectures counted, {len(done) - len(real)} of them on meta; median "
        f"{statistics.median(entry.seconds for entry in architectures):.2f} s, mean "
        f"{statistics.mean(entry.seconds for entry in architectures):.2f} s a model with its build, of which "
        f"{statistics.median(entry.cpu_seconds for entry in architectures):.2f} s and "
        f"{statistics.mean(entry.cpu_seconds for entry in architectures):.2f} s of processor time; load average "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors at the end; peak memory of the whole run "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB.",
        *(f"\n- {entry.name}: {entry.error}" for entry in architectures if entry.record is None),
        *(f"\n- {entry.name}: {entry.record.notes[0]}" for entry in real if entry.record),
        "\n## Unknown operators\n",
        *(f"- {op}: {times} calls" for op, times in sorted(unknown.items())),
        "\nHow many boxes `torchvision::nms` compares depends on their values, so shapes do not give its arithmetic."
        if "torchvision::nms" in unknown
        else "",
        "" if unknown else "None.",
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    warnings.simplefilter("ignore")
    kinds = ("classification", "segmentation", "detection", "video", "optical_flow")
    sections = {kind: torchvision(kind) for kind in kinds}
    PAGE.write_text(page(sections, timm()), encoding="utf-8")
    print(f"\nwrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
