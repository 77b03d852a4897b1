"""Writes a check's result to standard output or a file, to a JUnit file, and to GitHub Actions."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout

from analyzer.cli.messages import discard_output, print_message
from analyzer.cli.output import emit_tables, write
from analyzer.core.files import write_text
from analyzer.core.frozen import Frozen
from analyzer.regression.outcome import CheckResult, exit_status
from reports.regression import json, junit, markdown
from reports.regression.annotations import MAX_SUMMARY_BYTES, annotation_commands, append_summary
from reports.regression.tables import all_tables, changes_sheet
from reports.regression.workflow_commands import in_actions, neutralize


class OutputOptions(Frozen):
    """The options of every check: `--strict`, `--junit`, `--format` and `-o`."""

    strict: bool
    junit_file: str | None
    form: str
    output: str | None


def emit(result: CheckResult, options: OutputOptions) -> int:
    """Writes the result in all requested forms. Returns the check's exit status."""
    status = exit_status(result, strict=options.strict)
    if options.junit_file is not None:
        write_text(options.junit_file, junit.dump(result), advice="name another file with --junit")
    if in_actions(os.environ):
        _annotate(result)
    try:
        _write_result(result, options.form, options.output)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # The reader closed the pipe. A failed check must still exit with its status.
        if not status:
            raise
        discard_output(sys.stdout)
    return status


def _annotate(result: CheckResult) -> None:
    """Annotations go to standard error, which the runner reads too; Markdown goes to the job's summary page."""
    for command in annotation_commands(result):
        print(command, file=sys.stderr)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            append_summary(markdown.dump(result, MAX_SUMMARY_BYTES), path)
        except OSError as error:
            print_message(f"cannot write the job's summary: {error.strerror or error}")


def _write_result(result: CheckResult, form: str, output: str | None) -> None:
    to_stdout = output in (None, "-")
    if form == "table" and not (to_stdout and in_actions(os.environ)):
        return emit_tables(all_tables(result), form, output)  # Formatted for the terminal's width.
    text = _render(result, form)
    # Under Actions no name on standard output may act as a workflow command.
    return write(neutralize(text, form) if to_stdout and in_actions(os.environ) else text, output)


def _render(result: CheckResult, form: str) -> str:
    if form == "json":
        return json.dump(result)
    if form == "junit":
        return junit.dump(result)
    if form == "md":
        return markdown.dump(result)
    page = io.StringIO()
    with redirect_stdout(page):
        emit_tables([changes_sheet(result)] if form == "csv" else all_tables(result), form, None)
    return page.getvalue()
