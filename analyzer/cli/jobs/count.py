"""`analyze`: counts the selected models, restricts the records to a module, compares and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyzer.cli.messages import print_error, print_message
from analyzer.cli.output import emit, spinner, write
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.records.note import is_strict
from analyzer.records.parameters import NeedsInput
from analyzer.records.record import By, Record, restrict, unknown_module_error
from analyzer.records.rows import under

if TYPE_CHECKING:
    from analyzer.records.comparison import Comparison
    from analyzer.records.training import TrainingSetup
    from reports.table import Table


def run_count(
    selection: Selection,
    *,
    module: str | None,
    depth: int | None,
    by: By,
    sort: str | None,
    top: int | None,
    fold: bool,
    metric: str,
    counter: str,
    verify: bool,
    memory: bool | TrainingSetup,
    strict: bool,
    form: str,
    output: str | None,
) -> int:
    """Returns 0, 1 if counters differ or, with `strict`, an operator has no formula or a note is strict, or 2 or 3 if
    some of several models cannot be counted."""
    selection.require_models("count")
    if verify and selection.references:
        raise AnalyzerError("--verify needs a closed form, which a --model does not have; give --variant")
    if verify and memory and form != "json":
        raise AnalyzerError("--memory has no effect with --verify, which shows the counters; give one of them")
    rows = {"--by": by != "module", "--sort": sort is not None, "--top": top is not None}
    for option in [name for name, given in rows.items() if given]:
        if verify or memory or form in ("json", "csv") or len(selection.variants) + len(selection.references) > 1:
            raise AnalyzerError(f"{option} applies only to the table of counts of one model")
    counters = selection.counters(counter="dispatch" if counter == "dispatch" else "closed_form", verify=verify)
    runs_torch = bool(verify or selection.references or counter == "dispatch" or (memory and selection.training))
    with spinner("building and counting", when=runs_torch):
        counted, errors = selection.count(counters, memory=memory)
    counters = [count for count, record in zip(counters, counted, strict=True) if record]
    records = whole_records = [record for record in counted if record]
    needs_input = [error for error in errors if isinstance(error, NeedsInput)]
    restricted = module or memory or strict or selection.training or any(rows.values())
    if len(needs_input) == len(errors) and not (records or restricted):
        from analyzer.cli.jobs.parameters import show_parameters

        return show_parameters(needs_input, depth, fold, form, output)
    for error in errors if records else errors[:-1]:
        print_error(error)
    if not records:
        raise errors[-1]
    if module is not None:
        records = [restrict(record, module) for record in records]
        if not any(record.rows for record in records):
            raise unknown_module_error(module, whole_records)
    comparison = None
    if len(records) > 1:
        from analyzer.records.comparison import compare_records

        comparison = compare_records(records)
    for record, whole in zip(records, whole_records, strict=True):
        for note in (*record.notes, *_ineffective_overrides(whole)):
            refused = strict and is_strict(note)
            print_message(f"{record.label}: {'--strict: ' if refused else ''}{note}")
    failed = any(record.agreement and record.agreement.differences for record in records)
    failed = failed or (strict and any(record.strict_notes for record in records))
    for record in records:
        if strict and record.unknown_ops:
            failed = True
            print_message(f"{record.label}: --strict: no formula for operators (calls): {record.count.uncounted}")
    if memory and form in ("table", "md", "latex"):
        from reports.counting.memory import tables

        with spinner("trying batch sizes", when=runs_torch):
            memory_tables: list[Table] = []
            for record, count in zip(records, counters, strict=True):
                memory_tables += tables(record, count, depth or 1)
        emit(form, output, lambda: memory_tables)
    elif form == "json":
        from analyzer.records.record_json import dump

        write(dump(records, comparison, status="failed" if failed else "partial" if errors else "ok"), output)
    elif form == "csv" and memory:
        from reports.counting.memory import memory_csv

        write(memory_csv(records), output)
    elif form == "csv" and not verify:
        from reports.formats.text import records_csv

        write(records_csv(records), output)
    else:
        emit(form, output, lambda: _tables(records, comparison, metric, depth, by, sort, top, fold=fold, verify=verify))
    return 1 if failed else max((error.exit_status for error in errors), default=0)


def _tables(
    records: Sequence[Record],
    comparison: Comparison | None,
    metric: str,
    depth: int | None,
    by: By,
    sort: str | None,
    top: int | None,
    *,
    fold: bool,
    verify: bool,
) -> list[Table]:
    """The cross-checks with `verify`, else the comparison of several records, else the only record."""
    from reports.counting import network

    if verify:
        return [network.agreement(record) for record in records]
    if comparison is None:
        from reports.counting.groups import default_depth

        (record,) = records
        depth = depth or default_depth(record, fold=fold)
        return [network.network(record, depth, by=by, sort=sort, top=top, fold=fold, types=by == "module")]
    from reports.counting.comparison import tables

    return tables(comparison, metric, depth or 1)


def _ineffective_overrides(record: Record) -> Sequence[str]:
    """Notes on overrides of modules that do not run in this mode, such as an auxiliary classifier at inference."""
    return [
        f"{key} has no effect in {record.mode} mode, since its module runs in training only: add --train"
        for key in record.overrides
        if not any(under(row, key.rpartition(".")[0]) for row in record.rows)
    ]
