"""Options and help of `analyze list`."""

from __future__ import annotations

import click

from analyzer.cli.commands.options import output_options
from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.core.errors import AnalyzerError

EXAMPLES = """\b
Examples:
  analyze list
  analyze list --format json
  analyze list --format csv -o networks.csv
"""


@click.command(name="list", epilog=EXAMPLES, short_help="List the built-in networks.")
@output_options
def list_variants(form: str, output: str | None) -> int:
    """List the built-in networks with their parameters, MACs and a description."""
    from analyzer.counting.api import count_variant
    from analyzer.networks import all_networks
    from analyzer.networks.variants import Variant
    from analyzer.records import record_json
    from reports.counting.network import listing
    from reports.formats.text import listing_csv

    records, titles = {}, {}
    for network in all_networks():
        try:
            if isinstance(network, AnalyzerError):
                raise network
            records[network.name] = count_variant(Variant(network, {}))
            titles[network.name] = str(network.title)
        except AnalyzerError as error:
            print_message(f"warning: {error}")
    emit(
        form, output, lambda: [listing(records, titles)],
        json=lambda: record_json.listing(records, titles), csv=lambda: listing_csv(records, titles),
    )  # fmt: skip
    return 0
