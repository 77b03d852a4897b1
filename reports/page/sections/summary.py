"""The section Summary: one sentence per network, its numbers on a card, and the totals to the last unit."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS, percent, relative_change, relative_change_phrase, scaled, seconds
from analyzer.records.comparable import incompatibility
from analyzer.records.timings import Measurement, Timing
from reports import cells
from reports.cells import interval_text, ratio_text
from reports.counting.network import passes_of_step
from reports.page.context import Block, Card, Cards, Fact, Paragraphs, Section
from reports.page.network_views import NetworkView
from reports.table import Row, Table, columns

CARD_METRICS = {"params": "Parameters", "macs": "Multiply-adds", "activations": "Activations"}


def section(networks: Sequence[NetworkView], refused: Sequence[str]) -> Section:
    blocks: list[Block] = [Paragraphs(tuple(refused), "warning")] if refused else []
    blocks.append(Paragraphs(tuple(sentences(networks)), "lead"))
    blocks.append(Cards(tuple(card(network, networks[0]) for network in networks)))
    blocks.append(totals(networks))
    if notes := _notes(networks):
        blocks.append(Paragraphs(notes, "notice"))
    return Section("summary", "Summary", "Summary", "", tuple(blocks))


def sentences(networks: Sequence[NetworkView]) -> list[str]:
    """One sentence about the first network, and one sentence per other network that compares the two."""
    first, *others = networks
    texts = [_alone(first)]
    for other in others:
        if other.empty:
            texts.append(_alone(other))
        elif other.incompatibility:
            texts.append(f"{other.name} is shown but not compared with {first.name}: {other.incompatibility}.")
        elif not first.empty:
            texts.append(_compared(first, other))
    return texts


def _alone(network: NetworkView) -> str:
    if network.empty:
        return f"{network.name} has no rows: the record is empty."
    totals = network.totals
    text = f"{network.name} has {scaled(totals.params)} parameters and takes {scaled(totals.macs)} multiply-adds"
    if network.top_modules and totals.macs:
        most = max(network.top_modules, key=lambda module: module.totals.macs)
        text += f", {percent(most.totals.macs / totals.macs)} of them in {most.path}"
    if network.memory:
        place = f" in {network.memory.peak_path}" if network.memory.peak_path else ""
        text += f"; memory peaks at {scaled(network.memory.peak, 'B')}{place}"
    measurement = network.measurement
    if measurement and measurement.pass_timing:
        label = f"{measurement.configuration.label}, {measurement.quality}"
        text += f"; a pass takes {seconds(measurement.pass_timing.median_s)} ({label})"
    return f"{text}."


def _compared(first: NetworkView, other: NetworkView) -> str:
    phrases = [
        relative_change_phrase(getattr(other.totals, metric), getattr(first.totals, metric), METRICS[metric].unit)
        for metric in ("params", "macs")
    ]
    if first.memory and other.memory:
        phrases.append(relative_change_phrase(other.memory.peak, first.memory.peak, "peak memory", fewer="less"))
    phrases += [_time_phrase(noun, *pair) for noun, pair in _comparable_times(other, first).items()]
    if phrases[0][0].isdigit():
        phrases[0] += f" than {other.name}"
    else:  # The same number, or none.
        phrases[0] += f", compared with {other.name}"
    return f"{first.name} has {', '.join(phrases[:-1])} and {phrases[-1]}."


def _comparable_times(first: NetworkView, other: NetworkView) -> dict[str, tuple[Timing, Timing]]:
    """The passes of both, and their GPU time, at the first configuration that they share on one machine.

    Void times are left out.
    """
    for record in first.timed:
        for other_record in other.timed:
            if incompatibility(record, other_record) is not None:
                continue
            pairs = {
                noun: (timing, other_timing)
                for noun, timing in _times(record.measurement).items()
                for other_timing in [_times(other_record.measurement)[noun]]
                if timing and other_timing and "void" not in (timing.quality, other_timing.quality)
            }
            if pairs:
                return pairs
    return {}


def _times(measurement: Measurement | None) -> dict[str, Timing | None]:
    gpu = next(iter(measurement.of("device")), None) if measurement else None
    return {"time": measurement.pass_timing if measurement else None, "GPU time": gpu}


def _time_interval(before: Timing, after: Timing) -> tuple[str, bool]:
    """The 95 % confidence interval of the change in time, and whether it excludes that nothing changed."""
    from analyzer.timing.statistics import ratio_interval  # Imports numpy: not for a page without times.

    low, high = ratio_interval(before, after)
    ends = (ratio_text(low) if low else "any", ratio_text(high) if high < inf else "any")
    return interval_text(*ends), not low <= 1 <= high


def _time_phrase(noun: str, before: Timing, after: Timing) -> str:
    interval, decided = _time_interval(before, after)
    if not decided:
        return f"an undecided difference in {noun} ({interval})"
    return f"{relative_change_phrase(before.median_s, after.median_s, noun, fewer='less')} ({interval})"


def card(network: NetworkView, first: NetworkView) -> Card:
    compared = network is not first and not network.incompatibility and not first.empty and not network.empty
    facts = []
    for metric, title in CARD_METRICS.items():
        value = getattr(network.totals, metric)
        before = getattr(first.totals, metric) if compared else None
        exact = f"{value:,} {METRICS[metric].unit}"
        facts.append(_fact(metric, title, METRICS[metric].text(value), exact, before, value))
    if network.memory:
        peak = network.memory.peak
        before = first.memory.peak if compared and first.memory else None
        facts.append(_fact("peak_memory", "Peak memory", scaled(peak, "B"), f"{peak:,} bytes", before, peak))
    measurement = network.measurement
    if measurement and measurement.pass_timing:
        pairs = _comparable_times(first, network) if compared else {}
        for noun, timing in _times(measurement).items():
            if timing:
                title = f"{noun[0].upper()}{noun[1:]} of a pass, {timing.quality}"
                facts.append(_time_fact(title, timing, measurement.configuration.label, pairs.get(noun)))
    record = network.record
    shapes = ", ".join(map(shape_text, record.input)) or "no input"
    note = f"not compared with {first.name}: {network.incompatibility}" if network.incompatibility else ""
    return Card(network.name, f"{shapes} · {record.mode} · {record.dtype}", tuple(facts), note, network.index)


def _fact(metric: str, title: str, text: str, exact: str, before: float | None, after: float) -> Fact:
    if before is None:
        return Fact(title, text, exact)
    ratio = relative_change(before, after, fewer=cells.fewer(metric))
    return Fact(title, text, exact, ratio, cells.tone(before, after))


def _time_fact(title: str, timing: Timing, label: str, pair: tuple[Timing, Timing] | None) -> Fact:
    if pair is None:
        return Fact(title, seconds(timing.median_s), label)
    before, after = pair
    interval, decided = _time_interval(before, after)
    if not decided:
        return Fact(title, seconds(timing.median_s), label, f"undecided ({interval})")
    ratio = relative_change(before.median_s, after.median_s, fewer="less")
    return Fact(
        title, seconds(timing.median_s), label, f"{ratio} ({interval})", cells.tone(before.median_s, after.median_s)
    )


def totals(networks: Sequence[NetworkView]) -> Table:
    """The whole of each network, to the last unit."""
    metrics = [
        "params",
        "macs",
        "flops",
        "activations",
        "traffic",
        *passes_of_step([network.totals for network in networks]),
    ]
    if metrics[-1] == "step_macs":
        metrics += ["backward_flops", "step_flops"]
    rows: list[Row] = [
        (
            network.name,
            *(cells.exact(network.totals.value(metric)) for metric in metrics),
            cells.intensity(network.totals),
            cells.exact(network.memory.peak if network.memory else None),
        )
        for network in networks
    ]
    titles = columns("network", *(METRICS[metric].title for metric in metrics), "FLOP/B", "peak bytes")
    return Table("Totals, to the last unit", titles, tuple(rows), id="totals", tools=("sort", "csv"))


def _notes(networks: Sequence[NetworkView]) -> tuple[str, ...]:
    notes = [f"{network.name}: {note}" for network in networks for note in network.record.notes]
    for network in networks:
        record = network.record
        if record.unknown_ops:
            notes.append(f"{network.name}: no formula for operators (calls): {record.count.uncounted}.")
        if record.agreement and record.agreement.differences:
            notes.append(f"{network.name}: the counters differ in {len(record.agreement.differences)} counts.")
    return tuple(notes)
