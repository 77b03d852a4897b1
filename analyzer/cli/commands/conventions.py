"""Options and help of `analyze conventions`."""

from __future__ import annotations

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import output_options
from analyzer.cli.output import emit

EXAMPLES = """\b
Examples:
  analyze conventions
  analyze conventions --format md
"""


@command(epilog=EXAMPLES, short_help="Explain the numbers and columns of tables.")
@output_options
def conventions(form: str, output: str | None) -> int:
    """Explain what each number and column of a table means."""
    from reports.counting.conventions import NUMBERS, TABLES, TIMES, table

    def dump() -> str:
        from analyzer.records.record_json import envelope

        return envelope("ok", conventions=dict((*NUMBERS, *TABLES, *TIMES)))

    emit(form, output, lambda: [table()], json=dump)
    return 0
