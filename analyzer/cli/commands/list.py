"""`analyze list`."""

from __future__ import annotations

import click

from analyzer.cli.commands.options import output_options
from analyzer.cli.messages import print_message
from analyzer.cli.output import emit_tables, write
from analyzer.core.errors import AnalyzerError


@click.command(name="list")
@output_options
def list_variants(form: str, output: str | None) -> int:
    """List the built-in networks with their parameters, MACs and a description."""
    from analyzer.counting.api import count_variant
    from analyzer.networks import all_networks
    from analyzer.networks.variants import Variant
    from reports.counting import network as views

    records, titles = {}, {}
    for network in all_networks():
        if isinstance(network, AnalyzerError):
            print_message(f"warning: {network}")
            continue
        try:
            records[network.name] = count_variant(Variant(network, {}))
        except AnalyzerError as error:
            print_message(f"warning: {error}")
            continue
        titles[network.name] = str(network.title)
    if form == "json":
        from analyzer.records.envelope import listing

        write(listing(records, titles), output)
    elif form == "csv":
        from reports.formats.text import listing_csv

        write(listing_csv(records, titles), output)
    else:
        emit_tables([views.listing(records, titles)], form, output)
    return 0
