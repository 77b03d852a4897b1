"""The section About: the command that writes the page, the conventions of counting, and the machines of the times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer.core.errors import one_line
from reports.counting.conventions import NUMBERS
from reports.counting.count_tables import conditions, counter_name
from reports.page.context import Block, Code, Paragraphs, Section
from reports.page.network_views import NetworkView
from reports.page.sections.reduction import has_inception_modules
from reports.table import MISSING, Row, Table, columns

MAX_NAMED = 4  # Configurations of a machine; more are counted.


def section(networks: Sequence[NetworkView], command: str) -> Section:
    timed = any(network.timed for network in networks)
    missing = tuple(_missing(networks))
    blocks: tuple[Block, ...] = (
        Code("Command that writes this page", command),
        *([Paragraphs(missing, "notice", "Not on this page")] if missing else []),
        counted(networks),
        *([environments(networks)] if timed else []),
        _prose("conventions", "Conventions", ("number", "meaning"), NUMBERS),
    )
    return Section("about", "Conventions, machine, how to reproduce", "About", "", blocks)


def _missing(networks: Sequence[NetworkView]) -> Iterator[str]:
    """What these records lack, and how to add it."""
    if not any(network.timed for network in networks):
        yield (
            "Times, so nothing here depends on a machine: analyze time MODEL saves a record under .analyze/records; "
            "add that file to the command above."
        )
    if not any(network.memory for network in networks):
        yield "Memory: add a built-in network, or records of analyze --memory --format json."
    if len(networks) == 1:
        yield "Differences: add a second network."
    if not has_inception_modules(networks):
        yield "The 1x1 reduction and the claims of the paper, which are about GoogLeNet: add googlenet."


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
    kept = [column for column in range(len(titles)) if any(row[column] != MISSING for row in rows)]
    shown = [tuple(row[column] for column in kept) for row in rows]
    return _prose("counted", "What was counted", [titles[column] for column in kept], shown)


def environments(networks: Sequence[NetworkView]) -> Table:
    """One row per machine, with what ran there and when."""
    machines: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
    for network in networks:
        for record in network.timed:
            if record.measurement:
                run = network.name, record.measurement.configuration.label, record.created or MISSING
                machines.setdefault(tuple(described(record.environment).values()), []).append(run)
    rows = []
    for machine, runs in machines.items():
        names, configurations, times = (list(dict.fromkeys(values)) for values in zip(*runs, strict=True))
        shown = "; ".join(configurations) if len(configurations) <= MAX_NAMED else f"{len(configurations)} of them"
        rows.append((", ".join(names), shown, *machine, " to ".join(dict.fromkeys((min(times), max(times))))))
    titles = ("networks", "configurations", *described({}), "measured (UTC)")
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
