"""The 1x1 story: what each branch costs with and without its reduction, one branch in full, and what a width does.

Counted anew for the paper's network at the paper's input, whatever else is on the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.claims import find
from analyzer.claims.reduction import BRANCH, REDUCED, UNREDUCED
from analyzer.core.units import METRICS, scaled
from analyzer.counting.api import count
from analyzer.counting.closed_form import formulas as closed_form
from analyzer.networks.variants import variant
from analyzer.networks.walk import walk
from analyzer.records.record import Module, Record
from reports.page import cells
from reports.page.context import Block, Chart, Section, Sum, Table
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.subjects import Subject

WIDTHS = (4, 8, 16, 24, 32, 48, 64, 96, 128)
KEY = "inception_4a.reduce_5x5"
LEAD = (
    "A 1x1 convolution before a 3x3 or 5x5 first narrows what that has to read. How much it saves differs from branch "
    "to branch, so every figure here names its own. Counted for googlenet at 1x3x224x224."
)


def told(subjects: Sequence[Subject]) -> bool:
    """Whether any network on the page has inception modules."""
    return any(".branch_5x5" in row.role for one in subjects for row in one.record.rows)


def section(subjects: Sequence[Subject]) -> Section:
    blocks: tuple[Block, ...] = ()
    lead = "No network on this page has inception modules; add --variant googlenet to see what their 1x1s save."
    if told(subjects):
        reduced, unreduced = count(REDUCED), count(UNREDUCED)
        blocks, lead = (worked(), branches(reduced, unreduced), curve(unreduced)), LEAD
    return Section("reduction", "What the 1x1 reduction saves", "1x1 reduction", lead, blocks)


def worked() -> Sum:
    """The 5x5 branch of inception 4a, multiplied out."""
    without, within = find("5x5-branch-without-1x1"), find("5x5-branch-with-1x1")
    everywhere = find("21.4x-whole-network")
    n = within.operands
    size, kernel = f"{n['height']} · {n['width']}", f"{n['kernel']} · {n['kernel']}"
    narrow, wide, filters = n["reduced_channels"], n["in_channels"], n["filters"]
    before, after = without.computed, within.computed
    assert isinstance(before, int)
    assert isinstance(after, int)
    steps = (
        ("without: 5x5 on all channels", f"({size} · {filters}) · ({kernel} · {wide})", f"{before:,}"),
        (f"with: 1x1 to {narrow} channels", f"({size} · {narrow}) · {wide}", f"{n['reduce_macs']:,}"),
        ("then 5x5 on those", f"({size} · {filters}) · ({kernel} · {narrow})", f"{n['conv_macs']:,}"),
        ("together", f"{n['reduce_macs']:,} + {n['conv_macs']:,}", f"{after:,}"),
    )
    result = (
        f"{before:,} ÷ {after:,} = {before / after:.1f} times fewer multiply-adds in this branch, {scaled(after)} for "
        f"{scaled(before)}; over the whole network it is {everywhere.figure}."
    )
    return Sum(f"{BRANCH}, multiplied out", steps, result)


def _branches(record: Record) -> dict[str, Module]:
    return {module.path: module for module in record.modules if module.path.rpartition(".")[2].startswith("branch_")}


def branches(reduced: Record, unreduced: Record) -> Chart:
    """Every branch of every inception module, with and without."""
    ours, theirs = _branches(reduced), _branches(unreduced)
    shown = [path for path in ours if ours[path].totals.macs != theirs[path].totals.macs]
    first = [theirs[path].totals.macs for path in shown]
    other = [ours[path].totals.macs for path in shown]
    ratios = {path: one / two for path, one, two in zip(shown, first, other, strict=True)}
    most, least = max(ratios, key=ratios.__getitem__), min(ratios, key=ratios.__getitem__)
    rows = []
    for path, module in ours.items():
        own, before = module.totals, theirs[path].totals
        rows.append(
            [
                cells.words(path),
                *(cells.figure("macs", value) for value in (before.macs, own.macs)),
                cells.times("macs", before.macs, own.macs),
                *(cells.figure("params", value) for value in (before.params, own.params)),
                cells.times("params", before.params, own.params),
            ]
        )
    columns = [cells.left("branch")]
    for metric in ("MACs", "params"):
        columns += [cells.right(f"{metric} without"), cells.right(f"{metric} with"), cells.right("ratio")]
    texts = [
        f"{scaled(one)} without, {scaled(two)} with: {one / two:.1f} times fewer"
        for one, two in zip(first, other, strict=True)
    ]
    figure = points.dumbbells(
        [path.removeprefix("inception_").replace(".branch_", " ") for path in shown],
        first,
        other,
        ("without 1x1", "with 1x1"),
        texts,
        unit="multiply-adds, logarithmic",
    )
    return Chart(
        id="branches",
        title="Every reduced branch, without and with its 1x1",
        summary=f"From {ratios[least]:.1f} times fewer multiply-adds in {least} to {ratios[most]:.1f} times in {most}. "
        "1x1 and pool branches are the same in both.",
        figure=figure,
        table=Table("branches-data", "Every branch of every inception module", tuple(columns), cells.lines(rows),
                    tools=cells.ALL, fold=True),
        marks=2 * len(shown),
        legend=figures.key(figure),
    )  # fmt: skip


def curve(unreduced: Record) -> Chart:
    """MACs and params of 4a's 5x5 branch against the width of its reduction: that number changed, and counted."""
    limit = _branches(unreduced)[BRANCH].totals
    found = {width: _branch(width) for width in WIDTHS}
    paper = _branch(None)
    width = next(row for row in paper.rows if row.path == f"{BRANCH}.reduce.conv").outputs[0][1]
    panels = []
    rows = []
    for metric in ("params", "macs"):
        values = [getattr(_branches(one)[BRANCH].totals, metric) for one in found.values()]
        texts = [METRICS[metric].text(value) for value in values]
        panels.append((METRICS[metric].title, values, getattr(limit, metric), texts))
    for own, record in found.items():
        totals = _branches(record)[BRANCH].totals
        rows.append(
            [
                cells.whole(own),
                cells.whole(totals.macs),
                cells.times("macs", limit.macs, totals.macs),
                cells.whole(totals.params),
                cells.times("params", limit.params, totals.params),
            ]
        )
    each = (_macs(found[WIDTHS[-1]]) - _macs(found[WIDTHS[0]])) // (WIDTHS[-1] - WIDTHS[0])
    columns = (
        cells.left("reduce_5x5"),
        cells.right("MACs"),
        cells.right("to unreduced"),
        cells.right("params"),
        cells.right("to unreduced"),
    )
    return Chart(
        id="widths",
        title=f"What the width of the reduction does: {KEY}",
        summary=f"Every channel more costs {each:,} multiply-adds. The large point is the paper's {width} channels; "
        f"dashed is the branch without reduction, {scaled(limit.macs)} MACs and {scaled(limit.params)} params.",
        figure=points.curves(list(WIDTHS), panels, unit="channels after the 1x1 (reduce_5x5)", mark=width),
        table=Table("widths-data", "Width by width", columns, cells.lines(rows), tools=("csv",), fold=True),
        marks=2 * len(WIDTHS),
    )


def _branch(width: int | None) -> Record:
    """googlenet with that reduction, counted; None is the paper's."""
    steps = walk(variant(REDUCED, {KEY: width} if width else None).network)
    return Record(REDUCED, (steps[0].inputs[0],), "inference", closed_form.count(steps, "inference"))


def _macs(record: Record) -> int:
    return _branches(record)[BRANCH].totals.macs
