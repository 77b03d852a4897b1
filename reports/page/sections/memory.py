"""The section Memory: memory over the pass, the place of the peak, and the parts of the peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.units import scaled
from analyzer.records.memory import Memory
from reports import cells
from reports.counting.memory import by_optimizer, peak_parts
from reports.page.context import ALL_TOOLS, Block, Chart, Paragraphs, Section
from reports.page.figures import base as figures
from reports.page.figures import scatter
from reports.page.network_views import NetworkView
from reports.table import Row, Table, columns

MAX_NAMED = 3  # Networks in the sentence.
LEAD = (
    "Memory of operator outputs that later operators still need, over the pass. Scratch space inside kernels is not "
    "counted. The chart leaves out parameters, buffers and inputs, which are in memory all the time."
)
TRAINING = (
    "Memory of a training step. The chart shows the forward pass, in which activations are saved for the backward "
    "pass; the table has the peak of the whole step, with gradients and the optimizer's state. Parameters, buffers and "
    "inputs are in the table alone. Scratch space inside kernels is not counted."
)


def section(networks: Sequence[NetworkView]) -> Section:
    memories = {network.name: network.memory for network in networks if network.memory}
    if not memories:
        return Section("memory", "Memory over the pass", "Memory", "", ())
    training = all(network.record.mode == "training" for network in networks if network.memory)
    blocks: list[Block] = (
        [curve(memories, training=training)] if all(memory.modules for memory in memories.values()) else []
    )
    records = {network.name: network.record for network in networks if network.memory}
    blocks.append(peak_parts(records).replace(id="memory-parts", tools=("csv",)))
    if optimizers := by_optimizer(records):
        blocks.append(optimizers.replace(id="memory-optimizers", tools=("csv",)))
    missing = [network.name for network in networks if not network.memory and not network.empty]
    if missing:
        blocks.append(Paragraphs((f"Records without memory: {', '.join(missing)}.",), "notice"))
    return Section("memory", "Memory over the pass", "Memory", TRAINING if training else LEAD, tuple(blocks))


def course(memory: Memory) -> list[tuple[str, int]]:
    """The modules without children in the order they run, each with its peak in bytes; the overall peak is included."""
    paths = [module.path for module in memory.modules]
    parents = {path.rpartition(".")[0] for path in paths}
    leaves = [(module.path, module.peak) for module in memory.modules if module.path not in parents]
    if memory.peak_path and memory.peak_path not in dict(leaves):
        inside = [index for index, (path, _) in enumerate(leaves) if path.startswith(f"{memory.peak_path}.")]
        leaves.insert(inside[-1] + 1 if inside else len(leaves), (memory.peak_path, memory.activations))
    return leaves


def curve(memories: Mapping[str, Memory], *, training: bool = False) -> Chart:
    lines, peaks, sentences = {}, {}, []
    rows: list[Row] = []
    for name, memory in memories.items():
        leaves = course(memory)
        paths, sizes = [path for path, _ in leaves], [size for _, size in leaves]
        progress = [round(index / max(len(leaves) - 1, 1), 4) for index in range(len(leaves))]
        lines[name] = (progress, sizes, list(map(figures.escape_label, paths)))
        peaks[name] = sizes.index(max(sizes))
        text = f"{name} peaks in {paths[peaks[name]]} with {scaled(max(sizes), 'B')} of activations"
        if training:
            text = f"{name} has {scaled(max(sizes), 'B')} in {paths[peaks[name]]}, and in its backward pass "
            text += f"{scaled(memory.activations, 'B')} with gradients"
        sentences.append(text)
        rows += [(name, path, cells.exact(size)) for path, size in leaves]
    titles = columns("network", "part", "peak bytes", left=("part",))
    more = f"; {len(sentences) - MAX_NAMED} more in the table" if len(sentences) > MAX_NAMED else ""
    return Chart(
        id="memory-curve",
        title=f"Activations in memory over the {'forward ' if training else ''}pass",
        summary=f"{'; '.join(sentences[:MAX_NAMED])}{more}.",
        figure=scatter.steps(lines, peaks, unit="bytes of activations"),
        table=Table("Activations in memory, part by part", titles, tuple(rows), tools=ALL_TOOLS),
        marks=len(memories),
    )
