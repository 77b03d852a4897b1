"""The section About: the command that writes the page, the conventions of counting, and the machines of the times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.errors import one_line
from reports.counting.network import conditions, counter_name
from reports.page.context import Block, Code, Paragraphs, Section
from reports.page.network_views import NetworkView
from reports.table import MISSING, Row, Table, columns

CONVENTIONS = (
    ("MACs", "Multiply-adds of convolutions, linear layers, matrix products, attention and recurrent cells. Bias is "
     "not counted; padding counts as data."),
    ("FLOPs", "2 x MACs, plus bias 1 per output element, elementwise functions 1, pools their window's size, LRN "
     "2n + 3, batch norm 2 (6 in training), other norms 6, softmax 5. Views, copies and concatenation 0."),
    ("params", "Weights and biases. Tied parameters count once."),
    ("activations", "Output elements of operators that have MACs."),
    ("read, written", "The minimum memory traffic of an operator in isolation: inputs and parameters read, outputs "
     "written, each once. FLOP/B: FLOPs ÷ (read + written)."),
    ("memory", "Peak bytes of the tensors in memory over a pass, including parameters, buffers and inputs. In training "
     "also by purpose, with the state of the selected optimizer. B are bytes."),
    ("time", "Medians of passes without instrumentation in fresh processes. Operator times are means over the middle "
     "half of the instrumented passes, so that they add up. The quality (trusted, noisy or void) states whether a time "
     "can be trusted."),
    ("ratio", "The change relative to the first network, as a percentage of it or, from a factor of 2, as a factor. "
     "Less is green and more is red, in every metric."),
)  # fmt: skip


def section(networks: Sequence[NetworkView], command: str) -> Section:
    timed = any(network.timed for network in networks)
    untimed = Paragraphs(("No record here was timed, so nothing on this page depends on a machine.",))
    blocks: tuple[Block, ...] = (
        Code("Command that writes this page", command),
        counted(networks),
        environments(networks) if timed else untimed,
        _prose("conventions", "Conventions", ("number", "meaning"), CONVENTIONS),
    )
    return Section("about", "Conventions, machine, how to reproduce", "About", "", blocks)


def counted(networks: Sequence[NetworkView]) -> Table:
    """For each network its input, mode, dtype and counter, its overrides, the cross-check and the commit."""
    rows = []
    for network in networks:
        record = network.record
        overrides = ", ".join(f"{key}={value}" for key, value in record.overrides.items()) or MISSING
        checked = MISSING
        if record.agreement:
            names = ", ".join(map(counter_name, record.agreement.counters))
            checked = f"{names}: {len(record.agreement.differences)} differences"
        rows.append((network.name, conditions(record), overrides, checked, record.commit or MISSING))
    titles = ("network", "counted at", "overrides", "cross-check", "commit")
    return _prose("counted", "What was counted", titles, rows)


def environments(networks: Sequence[NetworkView]) -> Table:
    rows = [
        (
            network.name,
            record.measurement.configuration.label,
            *described(record.environment).values(),
            record.created or MISSING,
        )
        for network in networks
        for record in network.timed
        if record.measurement
    ]
    titles = ("network", "configuration", *described({}), "measured (UTC)")
    return _prose("machines", "Where times were measured", titles, rows)


def _prose(id: str, title: str, titles: Sequence[str], rows: Sequence[Row]) -> Table:
    return Table(title, columns(*titles, left=titles), tuple(rows), prose=True, id=id)


def described(environment: Mapping[str, Any]) -> dict[str, str]:
    """The main entries of a fingerprint, of which a record may lack any."""
    processor, torch, system, gpu = (_entry(environment, name) for name in ("processor", "torch", "system", "gpu"))
    texts = {
        "processor": str(gpu.get("name") or processor.get("model") or "unknown"),
        "instructions": " ".join(map(str, processor.get("flags") or ())) or "unknown",
        "torch": f"{torch.get('version', 'unknown')} {torch.get('capability', '')}".strip(),
        "system": " ".join(str(system[key]) for key in ("os", "kernel", "architecture") if system.get(key))
        or "unknown",
    }
    return {name: one_line(text) for name, text in texts.items()}


def _entry(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    entry = environment.get(name)
    return entry if isinstance(entry, Mapping) else {}
