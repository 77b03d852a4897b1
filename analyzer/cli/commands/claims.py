"""Options and help of `analyze claims`."""

from __future__ import annotations

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import output_options
from analyzer.cli.completion_values import complete_claim, complete_module
from analyzer.cli.output import emit, render
from analyzer.core.errors import AnalyzerError

EXAMPLES = """\b
Examples:
  analyze claims
  analyze claims 12x-fewer-params
  analyze claims --module inception_4a
  analyze claims --table1 --format csv
"""


@command(name="claims", epilog=EXAMPLES, short_help="Check the GoogLeNet paper's claims by counting.")
@click.argument("claim_id", required=False, metavar="[CLAIM-ID]", shell_complete=complete_claim)
@click.option(
    "--table1", "show_table1", is_flag=True, help="Compare the paper's Table 1 with macscope's counts, row by row."
)
@click.option(
    "--module",
    metavar="PATH",
    shell_complete=complete_module,
    help="Show what the 1x1 reduction saves in one module of googlenet; `total` for the whole network.",
)
@output_options
def check_claims(claim_id: str | None, show_table1: bool, module: str | None, form: str, output: str | None) -> int:
    """Check the claims of the GoogLeNet paper, and of a study note on it, against macscope's counts.

    The study note is a blog post in Korean, of 2019-09-12.

    CLAIM-ID shows one claim with its formula and numbers.
    """
    from analyzer.claims import dump, find, ledger, saving, table1
    from reports import claims

    if sum((claim_id is not None, show_table1, module is not None)) > 1:
        raise AnalyzerError("CLAIM-ID, --table1 and --module exclude each other; give one")
    if show_table1:
        rows, totals = table1.rows(), table1.totals()
        emit(
            form, output, lambda: claims.table1(rows, totals),
            json=table1.dump, csv=lambda: render([claims.table1_sheet(rows)], form),
        )  # fmt: skip
        return 0
    claim = saving(module) if module is not None else find(claim_id) if claim_id is not None else None
    selected = [claim] if claim else ledger()
    emit(
        form, output, lambda: claims.claim(claim) if claim else claims.claims(selected),
        json=lambda: dump(selected), csv=lambda: render([claims.claims_sheet(selected)], form),
    )  # fmt: skip
    return 0
