"""Options that mean the same on every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from analyzer.output import FORMATS


def complete_variant(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from analyzer.networks import VARIANTS

    return [name for name in VARIANTS if name.startswith(incomplete)]


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--format` and `-o`, the same on every command."""
    command = click.option("-o", "--output", metavar="FILE", help="Write there instead; the file is replaced whole.")(
        command
    )
    return click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="Default: table.")(
        command
    )
