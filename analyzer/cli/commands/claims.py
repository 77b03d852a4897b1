"""`analyze claims`."""

from __future__ import annotations

import click

from analyzer.cli.commands.options import output_options
from analyzer.cli.output import emit_tables, write
from analyzer.core.errors import AnalyzerError

EXAMPLES = """\b
Examples:
  analyze claims
  analyze claims 12x-fewer-params
  analyze claims --module inception_4a
  analyze claims --table1 --format csv
"""


@click.command(epilog=EXAMPLES, short_help="Check the GoogLeNet paper's claims by counting.")
@click.argument("claim_id", required=False, metavar="[CLAIM-ID]")
@click.option("--table1", is_flag=True, help="Compare the paper's Table 1 with our counts, row by row.")
@click.option(
    "--module", metavar="PATH", help="What the 1x1 reduction saves in one module of googlenet; `total` is the network."
)
@output_options
def claims(claim_id: str | None, table1: bool, module: str | None, form: str, output: str | None) -> int:
    """Check the claims of the GoogLeNet paper and of a study note against our counts.

    CLAIM-ID shows one claim with its formula and numbers.
    """
    from analyzer.claims import dump, find, ledger, saving
    from reports import claims as views

    if sum((claim_id is not None, table1, module is not None)) > 1:
        raise AnalyzerError("CLAIM-ID, --table1 and --module exclude each other; give one")
    if table1:
        from analyzer.claims.table1 import dump as dump_table1
        from analyzer.claims.table1 import rows, totals

        if form == "json":
            write(dump_table1(), output)
        elif form == "csv":
            emit_tables([views.table1_sheet(rows())], form, output)
        else:
            emit_tables(views.table1(rows(), totals()), form, output)
        return 0
    claim = saving(module) if module is not None else find(claim_id) if claim_id is not None else None
    selected = [claim] if claim else ledger()
    if form == "json":
        write(dump(selected), output)
    elif form == "csv":
        emit_tables([views.claims_sheet(selected)], form, output)
    else:
        emit_tables(views.claim(claim) if claim else views.claims(selected), form, output)
    return 0
