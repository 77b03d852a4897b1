"""Options and help of `analyze list`."""

from __future__ import annotations

import json

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import output_options
from analyzer.cli.messages import print_message
from analyzer.cli.output import emit
from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.parse_inputs import LIBRARIES

EXAMPLES = """\b
Examples:
  analyze list
  analyze list --format json
  analyze list --format csv -o networks.csv
  analyze list torchvision
  analyze list timm 'resnet*'
  analyze list devices h100
"""
DEVICES = "devices"


@command(name="list", epilog=EXAMPLES, short_help="List the built-in networks, the models of a library, or devices.")
@click.argument("library", required=False, type=click.Choice([*LIBRARIES, DEVICES]), metavar="[LIBRARY|devices]")
@click.argument("pattern", required=False, metavar="[PATTERN]")
@output_options
def list_variants(library: str | None, pattern: str | None, form: str, output: str | None) -> int:
    """List the built-in networks with their parameters, MACs and a description.

    With LIBRARY (torchvision, timm or hf, if installed), list its models: those that match PATTERN, such as 'resnet*',
    or contain it, such as resnet.
    With `devices`, list the devices whose published peaks are known.
    """
    pattern = pattern or "*"
    if not any(character in pattern for character in "*?["):
        pattern = f"*{pattern}*"
    if library == DEVICES:
        return _list_devices(pattern, form, output)
    if library:
        return _list_library(library, pattern, form, output)
    from analyzer.counting.api import count_variant
    from analyzer.networks import all_networks
    from analyzer.networks.variants import Variant
    from analyzer.records import record_json
    from reports.counting.count_tables import listing
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


def _list_library(library: str, pattern: str, form: str, output: str | None) -> int:
    """One name a line. Importing the library takes seconds."""
    from analyzer.cli.output import spinner
    from analyzer.models.optional_libraries import library_names
    from reports.table import Cell, Table, columns

    with spinner(f"importing {library}", when=True):
        names = [f"{library}:{name}" for name in library_names(library, pattern)]
    lines = "".join(f"{name}\n" for name in names)
    emit(
        form, output, lambda: [Table(f"Models of {library}", columns("model"), tuple((Cell(name),) for name in names))],
        json=lambda: json.dumps({"library": library, "models": names}, indent=1) + "\n", table=lambda: lines,
    )  # fmt: skip
    return 0


def _list_devices(pattern: str, form: str, output: str | None) -> int:
    from fnmatch import fnmatch

    from analyzer.timing.peaks.published import devices
    from reports.devices import dump, table

    known = devices()
    matching = [device for name, device in known.items() if fnmatch(name.lower(), pattern.lower())]
    if not matching:
        raise AnalyzerError(f"no device matches {quoted(pattern)}; {nearest(pattern.strip('*'), known)}")
    emit(form, output, lambda: [table(matching)], json=lambda: dump(matching))
    return 0
