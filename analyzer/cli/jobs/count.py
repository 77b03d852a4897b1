"""`analyze`: counts the selected models, restricts the records to a module, compares and shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from analyzer.cli.messages import print_error, print_message
from analyzer.cli.output import emit, spinner, write
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.records.note import is_strict
from analyzer.records.parameters import NeedsInput
from analyzer.records.record import Record, restrict, unknown_module_error
from analyzer.records.rows import under

if TYPE_CHECKING:
    from analyzer.cli.commands.table_options import TableOptions
    from analyzer.records.comparison import Comparison
    from analyzer.records.training import TrainingSetup
    from reports.table import Table


class Counted(NamedTuple):
    """The records of one batch size, restricted to a module, with the function that made each, and the errors."""

    records: list[Record]
    counters: list[Callable[..., Record]]
    comparison: Comparison | None
    errors: list[AnalyzerError]


def run_count(
    selection: Selection,
    *,
    batches: Sequence[int],
    table: TableOptions,
    module: str | None,
    counter: str | None,
    verify: bool,
    memory: bool | TrainingSetup,
    against: Sequence[str],
    strict: bool,
    form: str,
    output: str | None,
) -> int:
    """Returns 0, 1 if counters differ or, with `strict`, an operator has no formula or a note is strict, or 2 or 3 if
    some of several models cannot be counted."""
    selection.require_models("count")
    if verify and selection.references:
        raise AnalyzerError("--verify needs a closed form, which only built-in networks have; give --variant")
    if verify and memory and form != "json":
        raise AnalyzerError("--memory has no effect with --verify, which shows the counters; give one of them")
    if against and form in ("json", "csv"):
        raise AnalyzerError(f"--against has no effect with --format {form}: largest batches are in tables only")
    capacities = _capacities(against)
    if verify and table.depth:
        raise AnalyzerError("--depth has no effect with --verify, which shows every operator")
    if counter == "closed-form" and selection.references:
        raise AnalyzerError("--counter closed-form is for built-in networks; another model is counted by running it")
    others = {"--verify": verify, "--memory": memory, f"--format {form}": form in ("json", "csv")}
    models = len(selection.variants) + len(selection.references)
    table.refuse_without_effect(models=models, whole=next((name for name, given in others.items() if given), ""))
    runs_torch = bool(verify or selection.references or counter == "dispatch" or (memory and selection.training))
    with spinner("building and counting", when=runs_torch):
        counted = [_count(selection.replace(batch=batch), counter, verify, memory, module) for batch in batches]
    records = [record for part in counted for record in part.records]
    errors = [error for part in counted for error in part.errors]
    needs_input = [error for error in counted[0].errors if isinstance(error, NeedsInput)]
    restricted = module or memory or strict or selection.training or table.by != "module" or table.sort or table.top
    if needs_input and len(needs_input) == models and not restricted:
        from analyzer.cli.jobs.parameters_without_input import show_parameters

        return show_parameters(needs_input, table.depth, table.fold, form, output)
    for error in errors if records else errors[:-1]:
        print_error(error)
    if not records:
        raise errors[-1]
    failed = _report_notes(records, strict=strict)
    if memory and form in ("table", "md", "latex"):
        with spinner("trying batch sizes", when=runs_torch):
            memory_tables = _memory_tables(counted, table.depth or 1, capacities)
        emit(form, output, lambda: memory_tables)
    elif form == "json":
        from analyzer.records.record_json import dump

        comparison = counted[0].comparison if len(counted) == 1 else None
        write(dump(records, comparison, status="failed" if failed else "partial" if errors else "ok"), output)
    elif form == "csv":
        write(_csv(records, verify=verify, memory=bool(memory)), output)
    else:
        emit(form, output, lambda: [shown for part in counted for shown in _tables(part, table, verify=verify)])
    return 1 if failed else max((error.exit_status for error in errors), default=0)


def _count(
    selection: Selection, counter: str | None, verify: bool, memory: bool | TrainingSetup, module: str | None
) -> Counted:
    counters = selection.counters(counter="dispatch" if counter == "dispatch" else "closed_form", verify=verify)
    counted, errors = selection.count(counters, memory=memory)
    counters = [count for count, record in zip(counters, counted, strict=True) if record]
    whole_records = [_with_override_notes(record) for record in counted if record]
    records = whole_records
    if module is not None:
        records = [restrict(record, module) for record in records]
        if records and not any(record.rows for record in records):
            raise unknown_module_error(module, whole_records)
    comparison = None
    if len(records) > 1:
        from analyzer.records.comparison import compare_records

        comparison = compare_records(records)
    return Counted(records, counters, comparison, errors)


def _report_notes(records: Sequence[Record], *, strict: bool) -> bool:
    """Prints each note once. Returns whether the command fails: counters differ or, with `strict`, work is missing."""
    messages: dict[str, None] = {}
    failed = any(record.agreement and record.agreement.differences for record in records)
    for record in records:
        for note in record.notes:
            refused = strict and is_strict(note)
            failed = failed or refused
            messages[f"{record.label}: {'--strict: ' if refused else ''}{note}"] = None
        if strict and record.unknown_ops:
            failed = True
            messages[f"{record.label}: --strict: no formula for operators (calls): {record.count.uncounted}"] = None
    for message in messages:
        print_message(message)
    return failed


def _capacities(texts: Sequence[str]) -> dict[str, int]:
    """Bytes by name of the memories of `--against`. Raises AnalyzerError."""
    if not texts:
        return {}
    from analyzer.scaling.largest_sizes import capacity

    return {memory.name: memory.size for memory in map(capacity, texts)}


def _memory_tables(counted: Sequence[Counted], depth: int, capacities: Mapping[str, int]) -> list[Table]:
    from reports.counting.memory import tables

    return [
        table
        for part in counted
        for record, count in zip(part.records, part.counters, strict=True)
        for table in tables(record, count, depth, capacities)
    ]


def _csv(records: Sequence[Record], *, verify: bool, memory: bool) -> str:
    if memory:
        from reports.counting.memory import memory_csv

        return memory_csv(records)
    from reports.formats.text import agreement_csv, records_csv

    return agreement_csv(records) if verify else records_csv(records)


def _tables(counted: Counted, table: TableOptions, *, verify: bool) -> list[Table]:
    """The cross-checks with `verify`, else the comparison of several records, else the only record."""
    from reports.counting import count_tables

    if verify:
        return [count_tables.agreement(record) for record in counted.records]
    if counted.comparison is None:
        options = {name: getattr(table, name) for name in ("by", "sort", "top", "fold")}
        return [
            count_tables.network(record, table.depth, types=table.by == "module", **options)
            for record in counted.records
        ]
    from reports.counting.comparison import tables

    return tables(counted.comparison, table.metric or "macs", table.depth, fold=table.fold)


def _with_override_notes(record: Record) -> Record:
    """Adds notes on overrides of modules that do not run in this mode, such as an auxiliary classifier at inference."""
    notes = [
        f"{key} has no effect in {record.mode} mode, since its module runs in training only: add --train"
        for key in record.overrides
        if not any(under(row, key.rpartition(".")[0]) for row in record.rows)
    ]
    return record.replace(notes=(*record.notes, *notes)) if notes else record
