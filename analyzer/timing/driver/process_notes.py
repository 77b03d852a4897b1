"""What the processes of a measurement report besides samples: patterns of their passes, compilations, embeddings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.units import scaled
from analyzer.records.timings import Kind, Timing
from analyzer.timing.driver.quality import WatchedSamples
from analyzer.timing.driver.sample_patterns import PassLog
from analyzer.worker.reply import Reply

EMBEDDINGS = ("embedding", "embedding_bag")
BYTES_PER_TIME = 64  # A float in a list takes 32; twice that, for lists that grow.
NOTABLE_SHARE = 0.02  # Of the pass, for embeddings: with rows from memory they would take longer.


def pass_log(reply: Reply, samples: WatchedSamples, keep: Collection[bool]) -> PassLog:
    """The samples of one process that are kept, with the numbers of their passes and the memory after them."""
    passes = reply.last("done").get("passes") or {"numbers": [], "memory": [], "repeats": 1}
    numbers, memory = passes["numbers"], passes["memory"]
    kept = [index for index, (_, disturbance) in enumerate(samples[: len(numbers)]) if bool(disturbance) in keep]
    return PassLog(
        tuple(numbers[index] for index in kept),
        tuple(samples[index][0] for index in kept),
        tuple(memory[index] for index in kept) if len(memory) == len(numbers) else (),
        passes["repeats"],
        BYTES_PER_TIME * len(reply.last("keys").get("keys", ())),
    )


def first_calls(replies: Sequence[Reply]) -> list[Timing]:
    """The first call of the model and its compilation: one sample per process."""
    timings = []
    kinds: tuple[Kind, ...] = ("first_call", "compile")
    for kind in kinds:
        samples = [taken for reply in replies if (taken := reply.last("done").get(kind))]
        if samples:
            rounded = tuple(round(taken, 9) for taken in samples)
            timings.append(Timing("", kind, 1, kind, "forward", rounded, "trusted", "", (1,) * len(rounded)))
    return timings


def peak_bytes(replies: Sequence[Reply]) -> int | None:
    """The highest memory of any of the processes while passes ran."""
    peaks = [peak for reply in replies if (peak := reply.last("done").get("peak_bytes"))]
    return max(peaks, default=None)


def busiest_process(replies: Sequence[Reply]) -> str:
    """`; most active: NAME (process 123, 98 % of a processor)`, of the last run in which one was; "" if none was."""
    busiest = next((used for reply in reversed(replies) if (used := reply.last("done").get("busiest"))), None)
    if not busiest:
        return ""
    name, share = one_line(busiest["name"]), f"{100 * busiest['share']:.0f} % of a processor"
    return f"; most active: {name} (process {busiest['process']}, {share})"


def pass_energy(replies: Sequence[Reply]) -> tuple[float | None, list[str]]:
    """Joules of a pass, the median over processes, and a note on their source, or on why they cannot be known."""
    energies = [energy for reply in replies if (energy := reply.last("done").get("energy"))]
    known = [energy["joules"] for energy in energies if energy.get("joules") is not None]
    if known:
        source = next(energy["source"] for energy in energies if energy.get("source"))
        return median(known), [f"energy by {source}: of the whole chip, also what it uses when idle"]
    return None, [f"the energy of a pass cannot be known: {energy['reason']}" for energy in energies[:1]]


def recompilation_note(replies: Sequence[Reply]) -> list[str]:
    counts = [count for reply in replies if (count := reply.last("done").get("recompilations"))]
    if not counts:
        return []
    many = f"{max(counts)} graph{'s' if max(counts) > 1 else ''}"
    return [
        f"torch.compile compiled {many} again while passes were timed, in {len(counts)} of {len(replies)} processes"
    ]


def embedding_note(
    replies: Sequence[Reply],
    environment: Mapping[str, Any],
    times_s: Mapping[Timing, float],
    *,
    new_inputs: bool,
) -> list[str]:
    """Whether the caches hold what embeddings read, from pass to pass, where embeddings take a notable time."""
    tables: list[dict[str, int]] = next((found for reply in replies if (found := reply.last("done").get("tables"))), [])
    total = sum(times_s.values())
    embeddings = sum(time_s for timing, time_s in times_s.items() if timing.op in EMBEDDINGS)
    caches = (environment.get("processor") or {}).get("caches") or []
    largest = max((cache["bytes"] for cache in caches), default=0)
    if not tables or not total or embeddings < NOTABLE_SHARE * total or not largest:
        return []
    table, read = (sum(entry[key] for entry in tables) for key in ("table_bytes", "read_bytes"))
    cache = f"the largest cache ({scaled(largest, 'B', digits=3)})"
    if table <= largest:
        return [f"the tables of embeddings ({scaled(table, 'B', digits=3)}) stay in {cache}"]
    if new_inputs or read > largest:
        return []
    return [
        f"every pass reads the same rows of embeddings ({scaled(read, 'B', digits=3)} of "
        f"{scaled(table, 'B', digits=3)}), which stay in {cache}; --new-inputs draws new ids for each pass"
    ]


def passes_per_sample(logs: Sequence[PassLog]) -> int:
    return round(median([log.repeats for log in logs])) if logs else 1
