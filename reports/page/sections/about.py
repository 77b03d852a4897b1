"""How the figures are meant, where they were measured, and how to make the page again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.errors import one_line
from reports.counting.network import settings
from reports.page import cells
from reports.page.context import Block, Code, Section, Table, Words
from reports.page.subjects import Subject

CONVENTIONS = (
    ("MACs", "Multiply-adds of convolutions, linear layers, matrix products, attention and recurrent cells. Bias is "
     "not counted; padding counts as data."),
    ("FLOPs", "2 x MACs, plus bias 1 per output element, elementwise functions 1, pools their window's size, LRN "
     "2n + 3, batch norm 2 (6 in training), other norms 6, softmax 5. Views, copies and concatenation 0."),
    ("params", "Weights and biases, every parameter once, tied ones once."),
    ("activations", "Output elements of operators that have MACs."),
    ("read, written", "The least traffic of an operator alone: inputs and parameters read, outputs written, each once. "
     "FLOP/B is FLOPs over both."),
    ("memory", "Bytes alive at the peak of a pass, by liveness, with parameters, buffers and inputs; B are bytes."),
    ("time", "Medians of un-instrumented passes in fresh processes; parts are means over the middle half of passes "
     "that were cut, so that they add up. trusted, noisy or void says whether the machine was quiet enough."),
    ("ratio", "The second over the first. Less is green, more is red, in every metric."),
)  # fmt: skip


def section(subjects: Sequence[Subject], command: str) -> Section:
    blocks: list[Block] = [
        Code("This page again", command),
        counted(subjects),
        *([environments(subjects)] if any(one.timed for one in subjects) else [_untimed(subjects)]),
        Table(
            "conventions",
            "What is counted",
            (cells.left("figure"), cells.left("meaning")),
            cells.lines([cells.words(name), cells.words(text)] for name, text in CONVENTIONS),
            prose=True,
        ),
    ]
    return Section("about", "Conventions, machine, how to reproduce", "About", "", tuple(blocks))


def _untimed(subjects: Sequence[Subject]) -> Words:
    return Words(("No record here was timed, so nothing on this page depends on a machine.",))


def counted(subjects: Sequence[Subject]) -> Table:
    """Each network: input, mode, type, counter; what was changed; which commit."""
    rows = []
    for one in subjects:
        changes = ", ".join(f"{key}={value}" for key, value in one.record.overrides.items()) or cells.MISSING
        agreement = one.record.agreement
        checked = (
            f"{', '.join(agreement.counters)}: {len(agreement.differences)} differences" if agreement else cells.MISSING
        )
        texts = (one.name, settings(one.record), changes, checked, one.record.commit or cells.MISSING)
        rows.append([cells.words(one_line(text)) for text in texts])
    heads = ("network", "counted at", "changed", "counters held together", "commit")
    return Table("counted", "What was counted", tuple(map(cells.left, heads)), cells.lines(rows), prose=True)


def environments(subjects: Sequence[Subject]) -> Table:
    rows = []
    for one in subjects:
        for record in one.timed:
            assert record.measurement
            found = described(record.environment)
            texts = (one.name, record.measurement.configuration.label, *found.values(), record.created or cells.MISSING)
            rows.append([cells.words(one_line(text)) for text in texts])
    heads = ("network", "setting", *described({}), "measured (UTC)")
    return Table("machines", "Where times were measured", tuple(map(cells.left, heads)), cells.lines(rows), prose=True)


def described(environment: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a fingerprint that a reader asks for; a record may have none of them."""
    processor, torch, system = (_part(environment, name) for name in ("processor", "torch", "system"))
    gpu = _part(environment, "gpu")
    return {
        "processor": str(gpu.get("name") or processor.get("model") or "unknown"),
        "instructions": " ".join(map(str, processor.get("flags") or ())) or "unknown",
        "torch": f"{torch.get('version', 'unknown')} {torch.get('capability', '')}".strip(),
        "system": " ".join(str(system[key]) for key in ("os", "kernel", "architecture") if system.get(key))
        or "unknown",
    }


def _part(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = environment.get(name)
    return found if isinstance(found, Mapping) else {}
