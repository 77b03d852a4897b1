"""The page of `analyze llm`: its tables, and curves of compute, memory and least times over the length of the text."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.errors import one_line
from analyzer.core.units import relative_change_phrase, scaled, seconds
from analyzer.language_models.prefill_and_decode import LanguageModel
from analyzer.language_models.time_bounds import decode_bound, prefill_bound
from reports.language_models import Setting, tables
from reports.page.context import Chart, Page, Section
from reports.page.figures import scatter
from reports.page.figures.base import legend
from reports.table import Cell, Row, Table, columns

TOKENS = "tokens"


def page(model: LanguageModel, setting: Setting) -> Page:
    """The page with the model's tables and, if `model.curve` has other lengths, the section of curves."""
    sizes, *others = (
        table.replace(id=f"llm-{number}", tools=("csv",)) for number, table in enumerate(tables(model, setting))
    )
    architecture = model.architecture
    subtitle = (
        f"{scaled(architecture.parameters)} parameters, {scaled(architecture.active_parameters)} active per token; "
        f"batch {model.batch}, prompt {model.prompt:,}, decode {model.decode:,}."
    )
    parts = (
        Section("sizes", "Parameters and memory", "Parameters and memory", "", (sizes,)),
        Section("costs", "FLOPs and bounds", "FLOPs and bounds", "", tuple(others)),
        section(model, setting),
    )
    return Page(one_line(model.reference), subtitle, tuple(part for part in parts if part.blocks))


def sections(models: Sequence[LanguageModel]) -> tuple[Section, ...]:
    """The section of each model for a page that begins with other sections."""
    lead = " analyze llm shows conventions of attention, bounds and training of this model."
    return tuple(
        (at := section(model, Setting(), f"{number}" if number else "")).replace(
            title=f"{at.title}: {one_line(model.reference)}" if len(models) > 1 else at.title, lead=at.lead + lead
        )
        for number, model in enumerate(models)
    )


def section(model: LanguageModel, setting: Setting, suffix: str = "") -> Section:
    """`suffix` of ids, which differ between sections of one page."""
    lead = (
        "Prefill of a prompt of this length, and the next decoding step with its tokens in the cache. Every point is a "
        "count of the model at this length; the lines only connect the points."
    )
    charts = (
        [_compute(model.curve), _memory(model.curve, setting), *_times(model.curve, setting)] if model.curve else []
    )
    named = tuple(chart.replace(id=chart.id + suffix) for chart in charts)
    return Section(f"lengths{suffix}", "Over the length of the text", "Lengths", lead, named)


def _compute(curve: Sequence[LanguageModel]) -> Chart:
    series = {
        "prefill, full attention": [2 * at.prefill_macs("full") / (at.batch * at.prompt) for at in curve],
        "prefill, attention under its mask": [2 * at.prefill_macs("needed") / (at.batch * at.prompt) for at in curve],
        "decode": [2 * at.decode_macs("needed") / at.batch for at in curve],
    }
    first, last = curve[0], curve[-1]
    change = relative_change_phrase(series["decode"][0], series["decode"][-1], "FLOPs")
    summary = (
        f"A decoding step has {change} after {last.prompt:,} tokens than after {first.prompt:,}: attention grows with "
        "the text, all other products do not."
        if change != "the same number of FLOPs"
        else f"A decoding step has {change} after {last.prompt:,} tokens as after {first.prompt:,}."
    )
    return _chart("llm-compute", "FLOPs per token", summary, curve, series, "FLOPs per token", "")


def _memory(curve: Sequence[LanguageModel], setting: Setting) -> Chart:
    last, capacity = curve[-1], 0
    series = {
        "KV cache": [float(at.cache_bytes) for at in curve],
        "weights": [float(at.weight_bytes) for at in curve],
    }
    if setting.device and setting.device.capacity:
        capacity = setting.device.capacity * setting.parallel.devices
        series[f"memory of {setting.parallel.devices} x {setting.device.name}"] = [float(capacity)] * len(curve)
    sequences = f"{last.batch} sequence{'s' * (last.batch > 1)}"
    summary = f"The cache of {sequences} has {scaled(last.cache_bytes, 'B')} at {last.prompt:,} tokens"
    larger = next((at.prompt for at in curve if at.cache_bytes > at.weight_bytes), None)
    summary += f"; from {larger:,} tokens on it is larger than the weights." if larger else ", less than the weights."
    full = next((at.prompt for at in curve if capacity and at.cache_bytes + at.weight_bytes > capacity), None)
    if full:
        summary += f" At {full:,} tokens, cache and weights exceed the memory."
    return _chart("llm-memory", "Cache and weights", summary, curve, series, "bytes", "B")


def _times(curve: Sequence[LanguageModel], setting: Setting) -> list[Chart]:
    if setting.device is None:
        return []
    prefill = [prefill_bound(at, setting.device, setting.parallel) for at in curve]
    decode = [decode_bound(at, setting.device, setting.parallel) for at in curve]
    series = {
        "prefill (time to first token)": [bound.seconds for bound in prefill],
        "decode (time per output token)": [bound.seconds for bound in decode],
    }
    summary = (
        f"At {curve[-1].prompt:,} tokens the prefill takes at least {seconds(prefill[-1].seconds)} (bound by "
        f"{prefill[-1].limit}), a decoding step at least {seconds(decode[-1].seconds)} (bound by {decode[-1].limit}). "
        "These are lower bounds by published peaks, not forecasts."
    )
    name = f"Lower bounds on time, {setting.parallel.devices} x {setting.device.name}"
    return [_chart("llm-times", name, summary, curve, series, "seconds", "s")]


def _chart(
    id: str, title: str, summary: str, curve: Sequence[LanguageModel], series: dict[str, list[float]], y: str, unit: str
) -> Chart:
    """A line per series over the length, with logarithmic axes, and its numbers."""
    lengths = [at.prompt for at in curve]
    groups = {
        name: (lengths, values, [f"{name}, {length:,} tokens: {scaled(value, unit) if unit != 's' else seconds(value)}"
                                 for length, value in zip(lengths, values, strict=True)])
        for name, values in series.items()
    }  # fmt: skip
    rows: list[Row] = []
    for position, length in enumerate(lengths):
        values = (values[position] for values in series.values())
        cells = [Cell(seconds(value) if unit == "s" else scaled(value, unit), value) for value in values]
        rows.append((f"{length:,}", *cells))
    figure = scatter.curves_over(groups, x=TOKENS, y=y, unit=unit)
    return Chart(
        id=id, title=title, summary=summary, figure=figure, marks=len(series), legend=legend(figure),
        table=Table(f"{title} at each length", columns(TOKENS, *series), tuple(rows), id=f"{id}-data", tools=("csv",),
                    fold=True),
    )  # fmt: skip
