"""The subcommands of `analyze history`, which search, exchange and look after the results in the history database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import MAX_COUNT, Decorator, output_option, output_options
from analyzer.cli.completion_values import complete_filter, complete_result

LIMIT = 50
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
FILTERS = """
\b
Filters:
  batch == 8                      Also != < <= > >=.
  time_s > 5ms                    Numbers may have a unit: 5ms, 1.5G, 16Mi.
  model ~ "inception*"            A pattern: * is any text, ? any character.
  model !~ "vgg*"                 Texts that do not match it.
  dtype in ["float16", "bfloat16"]
  time_s == none                  Results without a time.
  batch == 8 and not (threads == 1 or device == "cuda")

docs/history.md lists the columns.
"""

store_option = click.option(
    "--store", metavar="URL",
    help="Database: postgresql://USER@HOST/NAME or a SQLite file. Default: the variable ANALYZE_STORE, else "
         ".analyze/history.sqlite. Only the default database receives runs of analyze time automatically.",
)  # fmt: skip


def where_option(help: str, *, required: bool = False) -> Decorator:
    return click.option("--where", metavar="FILTER", required=required, shell_complete=complete_filter, help=help)


@command("list", short_help="List stored results, one line per configuration.", epilog=f"""\b
Examples:
  analyze history list
  analyze history list --where 'model ~ "inception*" and batch == 8'
  analyze history list --where 'batch == 8' --sort time_s --reverse --limit 10
  analyze history list --where 'time_s > 5ms' --limit 1000 --format csv
  analyze history list --runs --store postgresql://reader@db.example.org/lab
{FILTERS}""")  # fmt: skip
@where_option("List only the results that this filter selects.")
@click.option("--sort", metavar="COLUMN", shell_complete=complete_filter, default="created", show_default=True,
              help="Sort by a column: the largest numbers or the latest times first, texts from A to Z.")  # fmt: skip
@click.option("--reverse", is_flag=True, help="Reverse the order of --sort: the smallest or the oldest first.")
@click.option("--limit", type=click.IntRange(1, MAX_COUNT), default=LIMIT, show_default=True, metavar="N",
              help="List at most N results or runs.")  # fmt: skip
@click.option("--runs", is_flag=True, help="List sweeps and timed runs, with their numbers of results.")
@store_option
@output_options
def list_results(**options: Any) -> int:
    """List stored results: model, configuration, counts and time, one line per configuration."""
    from analyzer.cli.jobs.history_database import list_results

    return list_results(**options)


@command(short_help="Show one stored result in full.", epilog="""\b
Examples:
  analyze history show 3fa9c1
  analyze history show 3fa9c1 --format json -o result.json
""")  # fmt: skip
@click.argument("key", shell_complete=complete_result)
@store_option
@output_options
def show(**options: Any) -> int:
    """Show the result KEY, or the only one whose key begins with KEY: its columns and its record with all modules."""
    from analyzer.cli.jobs.history_database import show_result

    return show_result(**options)


@command(short_help="Write stored results as JSON lines, CSV or Parquet.", epilog="""\b
Examples:
  analyze history export -o results.jsonl
  analyze history export --where 'gpu ~ "*H100*"' -o h100.parquet
  analyze history export --format csv | head

JSON lines and Parquet have the whole records, and analyze history import reads them. CSV has the columns.
""")  # fmt: skip
@where_option("Write only the results that this filter selects.")
@click.option("--limit", type=click.IntRange(1, MAX_COUNT), metavar="N", help="Write at most N results, the newest.")
@store_option
@click.option("--format", "form", type=click.Choice(["jsonl", "csv", "parquet"]), metavar="NAME",
              help="jsonl, csv or parquet. Default: by the suffix of -o FILE, else jsonl.")  # fmt: skip
@output_option
def export(form: str | None, output: str | None, **options: Any) -> int:
    """Write stored results, one line per configuration, newest first."""
    from analyzer.cli.jobs.history_database import export_results

    form = form or SUFFIXES.get(Path(output or "").suffix.lower(), "jsonl")
    return export_results(form=form, output=output, **options)


@command("import", short_help="Add results from files to the database.", epilog="""\b
Examples:
  analyze history import results.jsonl
  analyze history import h100.parquet --store postgresql://writer@db/lab
  analyze history import .analyze/records/*.json --store lab.sqlite
""")  # fmt: skip
@click.argument("files", nargs=-1, required=True, metavar="FILE ...", type=click.Path(path_type=Path))
@store_option
def import_results(**options: Any) -> int:
    """Add the results of each FILE: JSON lines or Parquet of analyze history export, or JSON of analyze time or
    analyze --format json.

    Results already in the database are kept unchanged.
    """
    from analyzer.cli.jobs.history_database import import_results

    return import_results(**options)


@command(short_help="Delete stored results.", epilog="""\b
Examples:
  analyze history prune --where 'created < "2026-01-01"' --dry-run
  analyze history prune --where 'quality == "void" or status == "failed"'

Run files under .analyze/records are kept.
""")  # fmt: skip
@where_option("Delete the results that this filter selects.", required=True)
@click.option("--dry-run", is_flag=True, help="List the results that would be deleted; delete nothing.")
@store_option
def prune(**options: Any) -> int:
    """Delete the results that a filter selects from the database."""
    from analyzer.cli.jobs.history_database import prune_results

    return prune_results(**options)


@command(short_help="Bring the database to this version's schema.", epilog="""\b
Examples:
  analyze history migrate
  analyze history migrate --store postgresql://owner@db.example.org/lab
""")  # fmt: skip
@store_option
def migrate(**options: Any) -> int:
    """Create the tables of the history database, or upgrade tables created by an older version; no results are lost."""
    from analyzer.cli.jobs.history_database import migrate_store

    return migrate_store(**options)


COMMANDS: tuple[click.Command, ...] = (list_results, show, export, import_results, prune, migrate)
