"""The section Summary: a sentence per question, the networks in pictures and as a table, and the exact totals."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import METRICS, relative_change_phrase, scaled, seconds
from analyzer.records.comparable import differences
from analyzer.records.timings import Timing
from reports import cells
from reports.counting.count_tables import passes_of_step
from reports.page.context import Block, Paragraphs, Section, SideBySide
from reports.page.module_tree import division, tree
from reports.page.network_views import NetworkView, compute_metric, metric_noun
from reports.page.sections import overview
from reports.page.sections.compared_times import comparable_times, pass_times, time_interval
from reports.page.sections.network_table import network_table
from reports.table import Row, Table, columns

MAX_COMPARED = 3  # Networks with a sentence each; more are ranked in one sentence.


def section(networks: Sequence[NetworkView], refused: Sequence[str]) -> Section:
    blocks: list[Block] = [Paragraphs(tuple(refused), "warning")] if refused else []
    blocks.append(Paragraphs(tuple(sentences(networks)), "lead"))
    if differing := _differences(networks):
        blocks.append(Paragraphs(differing, "notice"))
    if shown := [network for network in networks if not network.empty]:
        bubbles = overview.bubbles(shown)
        blocks.append(SideBySide((*([bubbles] if bubbles else []), overview.parts(shown))))
    blocks += [network_table(networks), totals(networks)]
    if notes := _notes(networks):
        blocks.append(Paragraphs(notes, "notice"))
    return Section("summary", "Summary", "Summary", "", tuple(blocks))


def sentences(networks: Sequence[NetworkView]) -> list[str]:
    """The first network by itself; then one sentence per other network, or one that ranks many."""
    first, *others = networks
    texts = _alone(first, compute_metric([first]))
    compared = [other for other in others if not (other.empty or other.incompatibility or first.empty)]
    if len(compared) > MAX_COMPARED:
        texts += _ranked([first, *compared])
    for other in others:
        if other.empty:
            texts += _alone(other, "macs")
        elif other.incompatibility:
            texts.append(f"{other.name} is shown but not compared with {first.name}: {other.incompatibility}.")
        elif other in compared and len(compared) <= MAX_COMPARED:
            texts.append(_compared(first, other))
    return texts


def _alone(network: NetworkView, metric: str) -> list[str]:
    """How large it is and what it computes, where; what memory it needs; and how long it takes."""
    if network.empty:
        return [f"{network.name} has no rows: the record is empty."]
    totals = network.totals
    macs = totals.value(metric) or 0
    text = f"{network.name} has {scaled(totals.params)} parameters and takes {scaled(macs)} multiply-adds"
    text += " per training step" if metric == "step_macs" else ""
    where = division(tree(network, [metric, "params"]), metric) if macs else ""
    texts = [f"{text}, {where}." if where else f"{text}."]
    if network.memory and network.peak is not None:
        place = f" in {network.memory.peak_path}" if network.memory.peak_path else ""
        place = place or (" in the backward pass" if network.record.mode == "training" else "")
        texts.append(f"Memory peaks at {scaled(network.peak, 'B')}{place}.")
    measurement = network.measurement
    if measurement and measurement.quality != "void":
        parts = [
            f"{noun} {seconds(timing.median_s)} ({timing.quality})"
            for noun, timing in pass_times(measurement).items()
            if timing and timing.quality != "void"
        ]
        if parts:
            texts.append(f"A pass at {measurement.configuration.label}: {', '.join(parts)}.")
    return [" ".join(texts)]


def _compared(first: NetworkView, other: NetworkView) -> str:
    """What the first has fewer of, then what it has more of; undecided times last."""
    metric = compute_metric([first, other])
    changes = [(other.totals.params, first.totals.params, "parameters", "fewer")]
    changes.append((other.totals.value(metric) or 0, first.totals.value(metric) or 0, metric_noun(metric), "fewer"))
    if first.peak is not None and other.peak is not None:
        changes.append((other.peak, first.peak, "peak memory", "less"))
    phrases = [
        (after - before, relative_change_phrase(before, after, noun, fewer=fewer))
        for before, after, noun, fewer in changes
    ]
    undecided = []
    for noun, (before, after) in comparable_times(other, first).items():
        phrase, decided = _time_phrase(noun, before, after)
        if decided:
            phrases.append((1 if after.median_s > before.median_s else -1, phrase))
        else:
            undecided.append(phrase)
    start = phrases[0][0] > 0
    alike = [phrase for change, phrase in phrases if (change > 0) == start]
    unlike = [phrase for change, phrase in phrases if (change > 0) != start]
    link = "than" if alike[0][0].isdigit() else "as"
    text = f"{first.name} has {_listed(alike)} {link} {other.name}"
    text += f", but {_listed(unlike)}" if unlike else ""
    return f"{text}; {_listed(undecided)}." if undecided else f"{text}."


def _listed(texts: Sequence[str]) -> str:
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else texts[0]


def _time_phrase(noun: str, before: Timing, after: Timing) -> tuple[str, bool]:
    interval, decided = time_interval(before, after)
    if not decided:
        return f"an undecided difference in {noun} ({interval})", False
    phrase = relative_change_phrase(before.median_s, after.median_s, noun, fewer="less")
    return f"{phrase} ({interval})", True


def _ranked(networks: Sequence[NetworkView]) -> list[str]:
    """Of many networks the two ends by parameters and by MACs."""
    metric = compute_metric(networks)
    texts = []
    for name, noun in (("params", "parameters"), (metric, metric_noun(metric))):
        ranked = sorted(networks, key=lambda network: network.totals.value(name) or 0)
        least, most = ranked[0], ranked[-1]
        if least.totals.value(name) == most.totals.value(name):
            texts.append(f"all have {scaled(least.totals.value(name) or 0)} {noun}")
            continue
        few, many = (scaled(network.totals.value(name) or 0) for network in (least, most))
        text = f"{least.name} has the fewest {noun}, {few}, and {most.name} the most, {many}"
        if networks[0] not in (least, most):
            text += f"; {networks[0].name} is {_ordinal(ranked.index(networks[0]) + 1)}"
        texts.append(text)
    return [f"Of {len(networks)} networks {'. '.join(texts)}."]


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def totals(networks: Sequence[NetworkView]) -> Table:
    """The whole of each network, to the last unit."""
    metrics = ["params", "macs", "flops", "activations", "traffic"]
    metrics += passes_of_step([network.totals for network in networks])
    if metrics[-1] == "step_macs":
        metrics += ["backward_flops", "step_flops"]
    rows: list[Row] = [
        (
            network.name,
            *(cells.exact(network.totals.value(metric)) for metric in metrics),
            cells.intensity(network.totals),
            cells.exact(network.peak),
        )
        for network in networks
    ]
    titles = columns("network", *(METRICS[metric].title for metric in metrics), "FLOP/B", "peak bytes")
    return Table("Totals, to the last unit", titles, tuple(rows), id="totals", tools=("sort", "csv"), fold=True)


def _differences(networks: Sequence[NetworkView]) -> tuple[str, ...]:
    """What differs between the networks that are compared; for the others it is in their sentence."""
    compared = [network.record for network in networks if not (network.empty or network.incompatibility)]
    return tuple(f"{difference[0].upper()}{difference[1:]}." for difference in differences(compared))


def _notes(networks: Sequence[NetworkView]) -> tuple[str, ...]:
    """Equal notes of several networks are one note."""
    notes: dict[str, list[str]] = {}
    for network in networks:
        record = network.record
        texts = list(record.notes)
        if record.unknown_ops:
            texts.append(f"no formula for operators (calls): {record.count.uncounted}.")
        if record.agreement and record.agreement.differences:
            texts.append(f"the counters differ in {len(record.agreement.differences)} counts.")
        for text in texts:
            notes.setdefault(text, []).append(network.name)
    every = len(networks)
    return tuple(
        f"{'All networks' if len(names) == every > 1 else ', '.join(names)}: {text}" for text, names in notes.items()
    )
