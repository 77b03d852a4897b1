"""Options and help of `analyze report`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import filterfalse
from pathlib import Path
from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.history_database import store_option, where_option
from analyzer.cli.commands.shared_options import (
    FORM_BY_SUFFIX,
    require_writable_output,
    select_models,
    selection_options,
)
from analyzer.cli.model_arguments import is_model
from analyzer.cli.output import FORMATS
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, quoted

EXAMPLES = """\b
Examples:
  analyze report googlenet alexnet
  analyze report run1.json run2.json -o report.html
  analyze report googlenet --charts none -o -
  analyze report googlenet --format md >> "$GITHUB_STEP_SUMMARY"
  analyze report --from sweep.toml --accuracy top1.csv -o sweep.html
  analyze report --from history --where 'model ~ "resnet*"'
  analyze report --from history --axes batch,threads --format table
  analyze report googlenet alexnet --from history

FILE.csv of --accuracy has the header model,NAME, where NAME is the name of the accuracy, such as top1, and a line per
model: googlenet,69.8
"""
SOURCE_OPTIONS = ("where", "store", "accuracy", "cost", "axes")  # Have an effect with --from alone.


def split_axes(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """The two axes of `--axes`."""
    axes = tuple(part.strip() for part in text.split(",")) if text else ()
    if len(set(axes)) < len(axes) or len(axes) > 2 or "" in axes:
        raise AnalyzerError(f"--axes is {quoted(text)}; wanted one or two different axes, such as batch,threads")
    return axes


@command(epilog=EXAMPLES, short_help="Write an HTML page that compares networks, stored records or a sweep.")
@click.argument("files", nargs=-1, metavar="[MODEL or RECORD.json ...]")
@selection_options(without={"models"})
@click.option("--from", "source", metavar="GRID.toml|history",
              help="Add the stored results of the sweep GRID.toml, or all stored results.")  # fmt: skip
@where_option("With --from: only the results that this filter selects, as in analyze history list.")
@store_option
@click.option("--accuracy", metavar="FILE.csv", help="Also show Pareto fronts of cost against these accuracies.")
@click.option("--cost", type=click.Choice(["time", "macs"]), help="The cost whose Pareto front is shown first.")
@click.option("--axes", metavar="NAME[,NAME]", callback=split_axes,
              help="Dimensions of the heat maps. Default: the two that have the most distinct values.")  # fmt: skip
@click.option("--charts", type=click.Choice(["embed", "link", "none"]), default="embed", show_default=True,
              help="Embed plotly's script in the page (embed), load it from a CDN (link; needs a network), or leave "
                   "charts out (none).")  # fmt: skip
@click.option("--figures", metavar="DIR", help="Also write each chart to DIR: HTML, and with kaleido PNG and SVG.")
@click.option("--format", "form", type=click.Choice(["html", *FORMATS]), metavar="NAME",
              help="html; md, a short summary for a pull request; with --from also table, json, csv and latex. "
                   "Default: html.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", callback=require_writable_output,
              help="Output file; - is standard output. Default: analysis.html for HTML, standard output for "
                   "other formats.")  # fmt: skip
def report(
    selection: Selection, files: tuple[str, ...], source: str | None, form: str | None, output: str | None,
    **options: Any,
) -> int:  # fmt: skip
    """Write one HTML page that compares networks and stored records, or the results of a sweep.

    It shows counts, times, memory, differences and the paper's claims, and works offline. With --from it shows the best
    configurations, Pareto fronts, scaling, machines, heat maps and failures of stored results.
    """
    selection = select_models(selection, list(filter(is_model, files)))
    records = list(filterfalse(is_model, files))
    page = {name: value for name, value in options.items() if name not in SOURCE_OPTIONS}
    if source is None:
        _require_source(options, form)
        from analyzer.cli.jobs.report import run_report

        return run_report(selection, records, form=form or "html", output=output, **page)
    from analyzer.cli.jobs.sweep_report import Source, run_sweep_report

    stored = Source(name=source, **{name: options[name] for name in SOURCE_OPTIONS})
    form = form or FORM_BY_SUFFIX.get(Path(output or "").suffix.lower(), "html")
    if selection or records:
        if form not in ("html", "md"):
            raise AnalyzerError(f"--format {form} is for --from alone; leave out models and records")
        from analyzer.cli.jobs.report import run_report

        return run_report(selection, records, form=form, output=output, source=stored, **page)
    if selection != Selection():
        raise AnalyzerError("options of models have no effect on stored results; --where selects these")
    return run_sweep_report(stored, form=form, output=output, **page)


def _require_source(options: Mapping[str, Any], form: str | None) -> None:
    for name in SOURCE_OPTIONS:
        if options[name]:
            raise AnalyzerError(f"--{name} has no effect without --from; add --from history or --from GRID.toml")
    if form not in (None, "html", "md"):
        raise AnalyzerError(
            f"--format {form} needs --from; of models, analyze writes it: analyze googlenet --format {form}"
        )
