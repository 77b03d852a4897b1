"""The section 1x1 reduction: each branch with and without it, one branch in full, and the effect of its width.

Always counted for the paper's network at the paper's input.
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.claims import find
from analyzer.claims.reduction import BRANCH, REDUCED, UNREDUCED
from analyzer.core.units import METRICS, relative_change_phrase, scaled, times
from analyzer.counting.api import count, count_variant
from analyzer.networks.variants import variant
from analyzer.records.record import Record
from analyzer.records.rows import Module, Totals, is_below, total
from reports import cells
from reports.page.context import ALL_TOOLS, Block, Calculation, Chart, Section
from reports.page.figures import scatter
from reports.page.network_views import NetworkView
from reports.page.sections import pictures
from reports.table import Row, Table, columns

WIDTHS = (4, 8, 16, 24, 32, 48, 64, 96, 128)
KEY = "inception_4a.reduce_5x5"
LEAD = (
    "A 1x1 convolution before a 3x3 or 5x5 convolution reduces the number of channels that it reads. The saving "
    "differs from branch to branch, so every number here names its branch. Counted for googlenet at 1x3x224x224."
)


def has_inception_modules(networks: Sequence[NetworkView]) -> bool:
    return any(".branch_5x5" in row.role for network in networks for row in network.record.rows)


def section(networks: Sequence[NetworkView]) -> Section:
    blocks: tuple[Block, ...] = ()
    if has_inception_modules(networks):
        reduced, unreduced = count(REDUCED), count(UNREDUCED)
        drawings = pictures.reduction(reduced, unreduced)
        blocks = (calculation(reduced, unreduced), drawings, branches(reduced, unreduced), widths(unreduced))
    return Section("reduction", "What the 1x1 reduction saves", "1x1 reduction", LEAD, blocks)


def calculation(reduced: Record, unreduced: Record) -> Calculation:
    """The MACs of the 5x5 branch of inception 4a, without and with its reduction."""
    without, within = find("5x5-branch-without-1x1"), find("5x5-branch-with-1x1")
    n = within.operands
    size, kernel = f"{n['height']} · {n['width']}", f"{n['kernel']} · {n['kernel']}"
    narrow, wide, filters = n["reduced_channels"], n["in_channels"], n["filters"]
    before, after = without.computed, within.computed
    assert isinstance(before, int)
    assert isinstance(after, int)
    steps = (
        ("without: 5x5 on all channels", f"({size} · {filters}) · ({kernel} · {wide})", f"{before:,}"),
        (f"with: 1x1 to {narrow} channels", f"({size} · {narrow}) · {wide}", f"{n['reduce_macs']:,}"),
        (f"then 5x5 on {narrow} channels", f"({size} · {filters}) · ({kernel} · {narrow})", f"{n['conv_macs']:,}"),
        ("together", f"{n['reduce_macs']:,} + {n['conv_macs']:,}", f"{after:,}"),
    )
    branch = relative_change_phrase(before, after, "multiply-adds")
    network = relative_change_phrase(unreduced.totals.macs, reduced.totals.macs, "multiply-adds")
    result = f"{branch} in this branch, {scaled(after)} instead of {scaled(before)}; {network} over the whole network."
    return Calculation(f"{BRANCH} in full", steps, result)


def _branches(record: Record) -> dict[str, Module]:
    return {module.path: module for module in record.modules if module.path.rpartition(".")[2].startswith("branch_")}


def _branch(record: Record) -> Totals:
    return total([row for row in record.rows if is_below(row.path, BRANCH)])


def branches(reduced: Record, unreduced: Record) -> Chart:
    """Every branch of every inception module, without and with its reduction."""
    reduced_branches = _branches(reduced)
    totals = {path: (before.totals, reduced_branches[path].totals) for path, before in _branches(unreduced).items()}
    macs = {path: (before.macs, after.macs) for path, (before, after) in totals.items() if before.macs != after.macs}
    ratios = {path: before / after for path, (before, after) in macs.items()}
    most, least = max(ratios, key=ratios.__getitem__), min(ratios, key=ratios.__getitem__)
    rows: list[Row] = [
        (path, *cells.change("macs", before.macs, after.macs), *cells.change("params", before.params, after.params))
        for path, (before, after) in totals.items()
    ]
    titles = [
        title
        for metric in ("MACs", "params")
        for title in (f"{metric} without", f"{metric} with", "difference", "ratio to without")
    ]
    figure = scatter.dumbbells(
        [path.removeprefix("inception_").replace(".branch_", " ") for path in macs],
        [before for before, _ in macs.values()],
        [after for _, after in macs.values()],
        ("without 1x1", "with 1x1"),
        [
            f"{scaled(before)} without, {scaled(after)} with: {relative_change_phrase(before, after, 'MACs')}"
            for before, after in macs.values()
        ],
        unit="multiply-adds, logarithmic",
    )
    return Chart(
        id="branches",
        title="Every reduced branch, without and with its 1x1",
        summary=f"From {times(ratios[least])} fewer multiply-adds in {least} to {times(ratios[most])} fewer in {most}. "
        "1x1 and pool branches are the same in both.",
        figure=figure,
        table=Table("Every branch of every inception module", columns("branch", *titles), tuple(rows), tools=ALL_TOOLS),
        marks=2 * len(macs),
    )


def widths(unreduced: Record) -> Chart:
    """MACs and params of 4a's 5x5 branch by the width of its reduction, each width counted."""
    limit = _branch(unreduced)
    counted = {width: count_variant(variant(REDUCED, {KEY: width})) for width in WIDTHS}
    by_width = {width: _branch(record) for width, record in counted.items()}
    paper = next(row for row in count(REDUCED).rows if row.path == f"{BRANCH}.reduce.conv").outputs[0][1]
    panels = []
    for metric in ("params", "macs"):
        values = [getattr(totals, metric) for totals in by_width.values()]
        panels.append((METRICS[metric].title, values, getattr(limit, metric), list(map(METRICS[metric].text, values))))
    rows: list[Row] = [
        (
            cells.exact(width),
            cells.exact(totals.macs),
            cells.ratio("macs", limit.macs, totals.macs),
            cells.exact(totals.params),
            cells.ratio("params", limit.params, totals.params),
        )
        for width, totals in by_width.items()
    ]
    per_channel = (by_width[WIDTHS[-1]].macs - by_width[WIDTHS[0]].macs) // (WIDTHS[-1] - WIDTHS[0])
    return Chart(
        id="widths",
        title=f"The effect of the reduction's width, {KEY}",
        summary=f"Each further channel costs {per_channel:,} multiply-adds. The large point is the paper's width, "
        f"{paper} channels; the dashed line is the branch without reduction, {scaled(limit.macs)} MACs and "
        f"{scaled(limit.params)} params.",
        figure=scatter.curves(list(WIDTHS), panels, unit="channels after the 1x1 (reduce_5x5)", mark=paper),
        table=Table(
            "Width by width",
            columns("reduce_5x5", "MACs", "to unreduced", "params", "to unreduced"),
            tuple(rows),
            tools=("csv",),
        ),
        marks=2 * len(WIDTHS),
    )
