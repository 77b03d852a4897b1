"""`analyze report`: builds the page from variants, models and stored records, and writes it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from analyzer.cli.jobs.sweep_report import OUTPUT, Source, read_analysis, write_figures
from analyzer.cli.messages import print_error, print_message
from analyzer.cli.output import spinner, write
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import read_or_refuse
from analyzer.counting.api import count_variant
from analyzer.networks.variants import variants
from analyzer.records.record import Record
from analyzer.records.record_json import load
from analyzer.records.rows import Row
from analyzer.records.validate import use_record
from reports.page.sections.about import described

if TYPE_CHECKING:
    from reports.page.context import Section
    from reports.page.write import Charts


def run_report(
    selection: Selection,
    files: Sequence[str],
    *,
    charts: Charts,
    figures: str | None,
    form: str,
    output: str | None,
    source: Source | None = None,
) -> int:
    """Writes the page of the models and records, with the stored results of `source` if it is given.

    Returns 0, or 2 or 3 if some models cannot be counted. They, and files that cannot be read, are named on standard
    error and on the page.

    Raises AnalyzerError if there is no record to show.
    """
    if not files and not selection:
        raise AnalyzerError("nothing to report on: give a model, such as googlenet, or a record's file")
    analysis = read_analysis(source) if source else None
    records, refused = read_records(files)
    records = [add_memory(record) for record in records]
    runs_torch = bool(selection.references) or (selection.training and bool(selection))
    with spinner("building and counting", when=runs_torch):
        counted, errors = selection.count(memory=True)
    records += [record for record in counted if record]
    if not records and len(refused) + len(errors) == 1:
        raise errors[0] if errors else AnalyzerError(refused[0])
    for message in refused:
        print_message(message)
    for error in errors:
        print_error(error)
    refused += map(str, errors)
    if not records:
        raise AnalyzerError("none of the records can be reported; see the messages above")
    from reports.page.build import page
    from reports.page.sweep_page import result_sections

    stored = source.arguments() if source else []
    command = shlex.join(map(one_line, ["analyze", "report", *files, *selection.arguments(), *stored]))
    results = (*_over_lengths(selection), *(result_sections(analysis) if analysis else ()))
    built = page(records, refused, command, results)
    if figures:
        write_figures(built, figures)
    if form == "md":
        from reports.page.markdown import summary

        write(summary(built), output)
    else:
        from reports.page.write import html

        write(html(built, charts), output or OUTPUT)
    return max((error.exit_status for error in errors), default=0)


def _over_lengths(selection: Selection) -> tuple[Section, ...]:
    """A section for each causal language model of transformers: its costs over the length of the text."""
    references = [reference for reference in selection.references if reference.startswith("hf:")]
    if not references:
        return ()
    from analyzer.language_models.prefill_and_decode import count_lengths
    from reports.page.sections import language_model

    models = []
    for reference in references:
        with suppress(AnalyzerError), spinner("counting at several lengths", when=True):
            models.append(count_lengths(reference, limit_s=selection.timeout_s))
    return language_model.sections(models)


def read_records(files: Sequence[str]) -> tuple[list[Record], list[str]]:
    """The records of the files, and one message per file that was refused."""
    records: list[Record] = []
    refused: list[str] = []
    for name in files:
        try:
            text = read_or_refuse(name, "wanted a file written by analyze --format json")
            loaded = load(text, name=one_line(name))
            for record in loaded:
                use_record(record, name, lambda record: described(record.environment))
        except AnalyzerError as error:
            refused.append(one_line(error))
        else:
            records += loaded
            if not loaded:
                refused.append(f"{one_line(name)} has no records")
    return records, refused


def add_memory(record: Record) -> Record:
    """Adds memory, in closed form, to a stored record of a built-in network that has none."""
    if record.memory or record.mode != "inference" or len(record.input) != 1 or len(record.input[0]) < 2:
        return record
    batch, *size = record.input[0]
    try:
        (variant,) = variants([record.model], [f"{key}={value}" for key, value in record.overrides.items()])
        counted = count_variant(variant, input=tuple(size), batch=batch, memory=True)
    except (AnalyzerError, TypeError, ValueError):
        return record
    return record.replace(memory=counted.memory) if _same_counts(counted.rows, record.rows) else record


def _same_counts(counted: Sequence[Row], stored: Sequence[Row]) -> bool:
    """Whether all values are equal that a stored row has: earlier versions recorded no kernels and sources."""
    return len(counted) == len(stored) and all(
        value is None or value == getattr(new, key)
        for new, old in zip(counted, stored, strict=True)
        for key, value in vars(old).items()
    )
