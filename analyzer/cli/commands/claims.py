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


@click.command(epilog=EXAMPLES, short_help="The paper's claims, each with the verdict of counting.")
@click.argument("claim_id", required=False, metavar="[CLAIM-ID]")
@click.option("--table1", is_flag=True, help="The paper's Table 1, row by row, beside ours.")
@click.option("--module", metavar="PATH", help="Ask the 21.4x saving of one module of googlenet; total is the whole.")
@output_options
def claims(claim_id: str | None, table1: bool, module: str | None, form: str, output: str | None) -> int:
    """What the paper and a study note claim, each with the verdict of counting; CLAIM-ID shows one in full."""
    from analyzer.claims import dump, find, ledger, saving
    from reports import claims as view

    if sum((claim_id is not None, table1, module is not None)) > 1:
        raise AnalyzerError("CLAIM-ID, --table1 and --module ask different things; give one")
    if table1:
        from analyzer.claims import table1 as paper

        if form == "json":
            write(paper.dump(), output)
        elif form == "csv":
            emit_tables([view.table1_sheet(paper.rows())], form, output)
        else:
            emit_tables(view.table1(paper.rows(), paper.totals()), form, output)
        return 0
    one = saving(module) if module is not None else find(claim_id) if claim_id is not None else None
    asked = [one] if one else ledger()
    if form == "json":
        write(dump(asked), output)
    elif form == "csv":
        emit_tables([view.claims_sheet(asked)], form, output)
    else:
        emit_tables(view.claim(one) if one else view.claims(asked), form, output)
    return 0
