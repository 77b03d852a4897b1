"""Options of `analyze` that choose the rows of its tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli.commands.shared_options import add_options
from analyzer.cli.completion_values import complete_columns
from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen

if TYPE_CHECKING:
    from analyzer.records.record import By

TRAINING_METRICS = ("backward_macs", "step_macs", "step_flops")
METRIC_NAMES = ("params", "macs", "flops", "activations", "traffic", *TRAINING_METRICS)


class TableOptions(Frozen):
    """What the options choose; see `reports.counting.groups.groups`. `metric` is that of a comparison by module."""

    depth: int | None = None
    by: By = "module"
    sort: str | None = None
    top: int | None = None
    fold: bool = True
    metric: str | None = None

    def refuse_without_effect(self, *, models: int, whole: str) -> None:
        """Raises AnalyzerError for an option without effect. `whole` is an option that shows other things, or empty."""
        rows = {"--by": self.by != "module", "--sort": self.sort is not None, "--top": self.top is not None}
        if not self.fold and whole:
            raise AnalyzerError(f"--no-fold has no effect with {whole}: it is for tables of counts")
        for option in [name for name, given in rows.items() if given]:
            if whole or models > 1:
                reason = f"with {whole}" if whole else "with several models"
                raise AnalyzerError(f"{option} has no effect {reason}: it is for the table of counts of one model")
        if self.metric and (whole or models < 2):
            reason = f"with {whole}" if whole else "with one model"
            raise AnalyzerError(f"--metric has no effect {reason}: it is for the table that compares several models")
        if self.depth and self.by != "module":
            raise AnalyzerError(f"--depth has no effect with --by {self.by}: it is for modules")


# fmt: off
OPTIONS = (
    click.option("--depth", type=click.IntRange(1, 20), metavar="N",
                 help="Levels of the module tree. Default: 1; a module with nearly all MACs is divided further."),
    click.option("--by", type=click.Choice(["module", "operator", "type"]), default="module",
                 help="Rows of the table of one model: modules (default), operators, or types: an operator with its "
                      "widths and window (not the class of a module), such as conv2d 3→64 7x7/2."),
    click.option("--sort", metavar="COLUMN", callback=lambda context, parameter, name: name and name.lower(),
                 shell_complete=complete_columns,
                 help="Sort the rows by a column, such as macs; the largest first."),
    click.option("--top", type=click.IntRange(1), metavar="N",
                 help="Show the N rows with the most MACs, or the largest by --sort, and one row with the sum of the "
                      "others. Modules are then a flat list."),
    click.option("--no-fold", "fold", flag_value=False, default=True,
                 help="Give each of several equal modules its own row, instead of one row for all (such as h.0–11)."),
    click.option("--metric", type=click.Choice(METRIC_NAMES), metavar="NAME",
                 help="With several models, compare modules by this metric. Default: macs. Metrics: "
                      f"{', '.join(METRIC_NAMES)}."),
)
# fmt: on


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options, and passes them to the command as one `table`."""

    @wraps(command)
    def with_table(*arguments: Any, **options: Any) -> Any:
        table = TableOptions(**{name: options.pop(name) for name in TableOptions.fields})
        return command(*arguments, table=table, **options)

    return add_options(with_table, OPTIONS)
