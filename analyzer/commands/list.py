"""`analyze list`."""

from __future__ import annotations

import click

from analyzer.commands.options import output_options
from analyzer.errors import AnalyzerError
from analyzer.output import emit_tables, say, write


@click.command(name="list")
@output_options
def list_variants(form: str, output: str | None) -> int:
    """Every variant with params, MACs and a line of what it is."""
    from analyzer.api import count_variant
    from analyzer.models import Variant
    from analyzer.networks import every
    from reports import views

    records, titles = {}, {}
    for network in every():
        if isinstance(network, AnalyzerError):
            say(f"warning: {network}")
            continue
        try:
            records[network.name] = count_variant(Variant(network, {}))
        except AnalyzerError as error:
            say(f"warning: {error}")
            continue
        titles[network.name] = str(network.title)
    if form == "json":
        from analyzer.envelope import listing

        write(listing(records, titles), output)
    elif form == "csv":
        from reports.text import listing_csv

        write(listing_csv(records, titles), output)
    else:
        emit_tables([views.listing(records, titles)], form, output)
    return 0
