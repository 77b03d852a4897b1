"""Memory: what is alive over the pass, where the peak is, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import scaled
from analyzer.records.record import Memory
from reports.page import cells
from reports.page.context import Block, Chart, Section, Table, Words
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.subjects import Subject

LEAD = (
    "What operators hand out and somebody still needs, by liveness over the pass; scratch space inside kernels is not "
    "seen. Parameters, buffers and inputs stand apart: they are there all the time."
)


def section(subjects: Sequence[Subject]) -> Section:
    shown = [one for one in subjects if one.memory]
    if not shown:
        words = "No record here carries memory: write it with analyze --memory --format json, or name a variant."
        return Section("memory", "Memory over the pass", "Memory", words, ())
    blocks: list[Block] = [alive(shown)] if all(one.memory and one.memory.modules for one in shown) else []
    blocks.append(made_of(shown))
    missing = [one.name for one in subjects if not one.memory and not one.empty]
    if missing:
        blocks.append(Words((f"Without memory in their records: {', '.join(missing)}.",), "notice"))
    return Section("memory", "Memory over the pass", "Memory", LEAD, tuple(blocks))


def course(memory: Memory) -> list[tuple[str, int]]:
    """Parts in the order they run, each with the most that was alive while it ran; the peak's own part is there."""
    paths = [module.path for module in memory.modules]
    above = {path.rpartition(".")[0] for path in paths}
    leaves = [(module.path, module.highest) for module in memory.modules if module.path not in above]
    if memory.peak_path and memory.peak_path not in dict(leaves):
        own = [place for place, (path, _) in enumerate(leaves) if path.startswith(f"{memory.peak_path}.")]
        leaves.insert(own[-1] + 1 if own else len(leaves), (memory.peak_path, memory.activations))
    return leaves


def alive(subjects: Sequence[Subject]) -> Chart:
    drawn, peaks, rows, said = {}, {}, [], []
    for one in subjects:
        assert one.memory
        leaves = course(one.memory)
        last = max(len(leaves) - 1, 1)
        texts = [figures.safe(path) for path, _ in leaves]
        drawn[one.name] = (
            [round(place / last, 4) for place in range(len(leaves))],
            [highest for _, highest in leaves],
            texts,
        )
        peak = max(range(len(leaves)), key=lambda place: leaves[place][1])
        peaks[one.name] = peak
        said.append(f"{one.name} peaks in {leaves[peak][0]} with {scaled(leaves[peak][1], 'B')} alive")
        for path, highest in leaves:
            rows.append([cells.words(one.name), cells.words(path), cells.whole(highest)])
    columns = (cells.left("network"), cells.left("part"), cells.right("bytes alive at most"))
    figure = points.steps(drawn, peaks, unit="bytes alive")
    return Chart(
        id="alive",
        title="Alive over the pass",
        summary=f"{'; '.join(said)}.",
        figure=figure,
        table=Table("alive-data", "Alive, part by part", columns, cells.lines(rows), tools=cells.ALL, fold=True),
        marks=len(subjects),
        legend=figures.key(figure),
    )


def made_of(subjects: Sequence[Subject]) -> Table:
    """What the peak is made of, a line a network."""
    training = any(one.record.mode == "training" for one in subjects)
    rows = []
    for one in subjects:
        memory = one.memory
        assert memory
        row = [
            cells.words(one.name),
            *map(cells.size, (memory.parameters, memory.buffers, memory.inputs, memory.activations)),
        ]
        row += [cells.size(memory.saved), cells.size(memory.gradients)] if training else []
        where = memory.peak_path or ("the backward pass" if one.record.mode == "training" else "the top level")
        rows.append([*row, cells.size(memory.peak), cells.words(where)])
    columns = ["parameters", "buffers", "inputs", "alive at the peak"]
    columns += ["of it saved for backward", "gradients"] if training else []
    heads = (cells.left("network"), *map(cells.right, [*columns, "peak"]), cells.left("the peak is in"))
    return Table("memory-parts", "What the peak is made of", heads, cells.lines(rows), tools=("sort", "csv"))
