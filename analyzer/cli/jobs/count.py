"""The main job: what the command line names → records, restricted and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from analyzer.cli.messages import say
from analyzer.cli.output import emit_records, emit_tables, working
from analyzer.core.errors import AnalyzerError
from analyzer.core.inputs import Input, image, parse_input
from analyzer.counting.api import Counter, count_reference, count_variant
from analyzer.networks.variants import Variant, variants
from analyzer.records.record import Record, restrict, under, unknown_module

if TYPE_CHECKING:
    from analyzer.core.shapes import Shape
    from reports.table import Table


def run(
    *,
    names: Sequence[str],
    references: Sequence[str],
    changes: Sequence[str],
    inputs: Sequence[str],
    batch: int,
    mode: str | None,
    train: bool,
    module: str | None,
    depth: int,
    metric: str,
    counter: str,
    verify: bool,
    memory: bool,
    strict: bool,
    form: str,
    output: str | None,
) -> int:
    """Counts, restricts, compares and shows. Returns 1 if counters differ, or under `strict` an operator is unknown."""
    if train and mode == "inference":
        raise AnalyzerError("--train and --mode inference contradict each other; give one")
    if verify and references:
        raise AnalyzerError("--verify holds a closed form against what runs, and a --model has none; give --variant")
    chosen = variants(names, changes)
    fed = [parse_input(text) for text in inputs]
    size = image(fed) if chosen else None
    training = train or mode == "training"
    records: list[Record] = []
    runs = verify or bool(references) or counter == "dispatch" or (memory and training)
    with working("building and counting", when=runs):
        for one in chosen:
            how: Counter = "dispatch" if counter == "dispatch" else "closed_form"
            records.append(
                count_variant(one, input=size, batch=batch, train=training, counter=how, verify=verify, memory=memory)
            )
        for reference in references:
            records.append(count_reference(reference, inputs=fed, batch=batch, train=training, memory=memory))
    whole = records
    if module is not None:
        records = [restrict(record, module) for record in records]
        if not any(record.rows for record in records):
            raise unknown_module(module, whole)
    comparison = None
    if len(records) > 1:
        from analyzer.records.comparison import compare_records

        comparison = compare_records(records)
    for record in records:
        for note in (*record.notes, *_silent(record, whole)):
            say(f"{record.label}: {note}")
    failed = any(record.agreement and record.agreement.differences for record in records)
    for record in records:
        if strict and record.unknown_ops:
            failed = True
            say(f"{record.label}: --strict: not counted, no formula for (calls): {record.count.uncounted}")
    if memory and form in ("table", "md", "latex") and not verify:
        with working("trying batches", when=runs):
            tables = _footprints(records, chosen, references, fed, size, training)
        emit_tables(tables, form, output)
    else:
        emit_records(records, comparison, form, output, metric=metric, depth=depth, verify=verify, failed=failed)
    return 1 if failed else 0


def _footprints(
    records: Sequence[Record],
    chosen: Sequence[Variant],
    references: Sequence[str],
    fed: Sequence[Input],
    size: Shape | None,
    training: bool,
) -> list[Table]:
    """Each model's memory, and the largest batch that fits: the same count at other batches."""
    from reports.counting import memory as footprint

    again: list[Callable[[int], Record]] = [
        *(partial(_variant_at, one, size, training) for one in chosen),
        *(partial(_reference_at, reference, fed, training) for reference in references),
    ]
    return [table for record, at in zip(records, again, strict=True) for table in footprint.tables(record, at)]


def _variant_at(one: Variant, size: Shape | None, training: bool, batch: int) -> Record:
    return count_variant(one, input=size, batch=batch, train=training, memory=True)


def _reference_at(reference: str, fed: Sequence[Input], training: bool, batch: int) -> Record:
    return count_reference(reference, inputs=fed, batch=batch, train=training, memory=True)


def _silent(record: Record, whole: Sequence[Record]) -> list[str]:
    """Changes of parts that did not run, such as an auxiliary head at inference."""
    rows = next(one.rows for one in whole if one.label == record.label)
    parts = {key: key.rpartition(".")[0] for key in record.overrides}
    return [
        f"{key} changes nothing in {record.mode} mode; its part runs in training: --train"
        for key, part in parts.items()
        if not any(under(row, part) for row in rows)
    ]
