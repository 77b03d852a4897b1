"""`analyze report`: variants, models and stored records → the page, its summary, or its figures as files."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from analyzer.cli.messages import print_message
from analyzer.cli.output import spinner, write
from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.inputs import image, parse_input
from analyzer.counting.api import count_reference, count_variant
from analyzer.networks.variants import variants
from analyzer.records.comparable import incompatibility
from analyzer.records.envelope import load
from analyzer.records.record import Record
from analyzer.records.timings import Measurement, Quality
from reports.page.sections.about import described

if TYPE_CHECKING:
    from reports.page.write import Charts

OUTPUT = "analysis.html"


def run(
    *,
    files: Sequence[str],
    names: Sequence[str],
    references: Sequence[str],
    changes: Sequence[str],
    inputs: Sequence[str],
    batch: int,
    training: bool,
    charts: Charts,
    figures: str | None,
    form: str,
    output: str | None,
) -> int:
    """A file that is refused is named, on standard error and on the page; 2 only if nothing is left to show."""
    if not files and not names and not references:
        raise AnalyzerError("nothing to report on: give a record's file, --variant NAME or --model REF")
    records, refused = read(files)
    records = [with_memory(record) for record in records]
    records += counted(names, references, changes, inputs, batch, training=training)
    for reason in refused:
        print_message(reason)
    if not records:
        raise AnalyzerError("no record is left to report on")
    from reports.page.build import page

    built = page(records, refused, command(files, names, references, changes, inputs, batch, training=training))
    if figures:
        from reports.page.images import write_figures

        for line in write_figures(built, Path(figures)):
            print_message(line)
    if form == "md":
        from reports.page.markdown import summary

        write(summary(built), output)
    else:
        from reports.page.write import html

        write(html(built, charts), output or OUTPUT)
    return 0


def read(files: Sequence[str]) -> tuple[list[Record], list[str]]:
    """The records of files, and the reasons why others were refused."""
    found: list[Record] = []
    refused: list[str] = []
    for name in files:
        try:
            own = load(Path(name).read_text(encoding="utf-8"), name=one_line(name))
            for record in own:
                _check(record, name)
        except AnalyzerError as error:
            refused.append(one_line(error))
        except (OSError, UnicodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            refused.append(f"cannot read {quoted(name)}: {reason}; wanted a file written by analyze --format json")
        else:
            found += own
            if not own:
                refused.append(f"{one_line(name)} holds no record")
    return found, refused


def with_memory(record: Record) -> Record:
    """A stored record of a named network with its memory, in closed form, where it carries none of its own."""
    if record.memory or record.mode != "inference" or len(record.input) != 1 or len(record.input[0]) < 2:
        return record
    batch, *size = record.input[0]
    try:
        (chosen,) = variants([record.model], [f"{key}={value}" for key, value in record.overrides.items()])
        again = count_variant(chosen, input=tuple(size), batch=batch, memory=True)
    except (AnalyzerError, TypeError, ValueError):
        return record
    return record.replace(memory=again.memory) if again.rows == record.rows else record


def _check(record: Record, name: str) -> None:
    """Raises AnalyzerError for a record that reads well and whose figures are none."""
    try:
        _ = (
            record.totals.intensity,
            record.modules,
            record.label,
            incompatibility(record, record),
            described(record.environment),
        )
        if record.memory:
            _ = record.memory.peak + 0, [module.highest + 0 for module in record.memory.modules]
        if record.measurement:
            _check_times(record.measurement)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        raise AnalyzerError(
            f"{one_line(name)} is damaged ({type(error).__name__}: {one_line(error)}); write it again"
        ) from None


def _check_times(measurement: Measurement) -> None:
    qualities = {measurement.quality, *(one.quality for one in measurement.timings)}
    if not qualities <= set(get_args(Quality)):
        raise ValueError(f"qualities {sorted(map(str, qualities))}")
    if not all(isfinite(sample) for one in measurement.timings for sample in one.samples_s):
        raise ValueError("a sample is not finite")
    if any(one.median_s <= 0 for one in measurement.timings if one.kind in ("pass", "device")):
        raise ValueError("a pass took no time")
    _ = measurement.operator_times_s, measurement.configuration.label


def counted(
    names: Sequence[str],
    references: Sequence[str],
    changes: Sequence[str],
    inputs: Sequence[str],
    batch: int,
    *,
    training: bool,
) -> list[Record]:
    """What is named on the command line, counted now, with its memory."""
    chosen = variants(names, changes)
    fed = [parse_input(text) for text in inputs]
    size = image(fed) if chosen else None
    with spinner("building and counting", when=bool(references) or (training and bool(chosen))):
        found = [count_variant(one, input=size, batch=batch, train=training, memory=True) for one in chosen]
        for reference in references:
            found.append(count_reference(reference, inputs=fed, batch=batch, train=training, memory=True))
    return found


def command(
    files: Sequence[str],
    names: Sequence[str],
    references: Sequence[str],
    changes: Sequence[str],
    inputs: Sequence[str],
    batch: int,
    *,
    training: bool,
) -> str:
    """The command line that makes the same page again."""
    words = ["analyze", "report", *files]
    for option, values in (("--variant", names), ("--model", references), ("--set", changes), ("--input", inputs)):
        words += [word for value in values for word in (option, value)]
    words += ["--batch", str(batch)] if batch != 1 else []
    words += ["--train"] if training else []
    return shlex.join(map(one_line, words))
