"""Writes a check's result to standard output or a file, to JUnit and SARIF files, and to GitHub Actions."""

from __future__ import annotations

import os
import sys

from analyzer.cli import output
from analyzer.cli.messages import discard_output, print_message
from analyzer.core.files import write_text
from analyzer.core.frozen import Frozen
from analyzer.regression.outcome import CheckResult, exit_status
from reports.regression import junit, markdown, sarif_gitlab_badges
from reports.regression.job_summary import publish
from reports.regression.tables import all_tables, changes_sheet, to_json
from reports.regression.workflow_commands import annotation_commands, in_actions


class OutputOptions(Frozen):
    """The options of every check: `--strict`, `--junit`, `--sarif`, `--format` and `-o`."""

    strict: bool
    junit_file: str | None
    sarif_file: str | None
    form: str
    output: str | None


def emit(result: CheckResult, options: OutputOptions, *, on_terminal: CheckResult | None = None) -> int:
    """Writes the result in all requested forms. Returns the check's exit status.

    `on_terminal` replaces the result in a table on standard output.
    """
    to_stdout = options.output in (None, "-")
    shown = on_terminal if on_terminal and options.form == "table" and to_stdout else result
    status = exit_status(result, strict=options.strict)
    if options.junit_file is not None:
        write_text(options.junit_file, junit.dump(result), advice="name another file with --junit")
    if options.sarif_file is not None:
        write_text(options.sarif_file, sarif_gitlab_badges.sarif(result), advice="name another file with --sarif")
    if in_actions(os.environ) and options.form != "github" and (problem := publish(result, os.environ)):
        print_message(problem)
    try:
        output.emit(
            options.form, options.output, lambda: all_tables(shown), untrusted=options.form != "github",
            json=lambda: to_json(result), junit=lambda: junit.dump(result), md=lambda: markdown.dump(result),
            csv=lambda: output.render([changes_sheet(result)], "csv"), sarif=lambda: sarif_gitlab_badges.sarif(result),
            gitlab=lambda: sarif_gitlab_badges.gitlab(result), badge=lambda: sarif_gitlab_badges.badge(result),
            github=lambda: "".join(f"{line}\n" for line in annotation_commands(result)),
        )  # fmt: skip
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # The reader closed the pipe. A failed check must still exit with its status.
        if not status:
            raise
        discard_output(sys.stdout)
    return status
