"""Options that mean the same on every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from analyzer.cli.output import FORMATS
from analyzer.core.errors import AnalyzerError, one_line, quoted


def complete_variant(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from analyzer.networks import VARIANTS

    return [name for name in VARIANTS if name.startswith(incomplete)]


def listed(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """`a,b@x.out=1,y.out=2,c` names three: what comes after a comma and has a `=` but no `@` changes the one before."""
    names: list[str] = []
    for text in texts:
        parts = text.split(",")
        if len(parts) > 1 and not all(map(str.strip, parts)):
            raise AnalyzerError(f"nothing beside a comma in --variant {quoted(text)}; wanted NAME[,NAME], no spaces")
        for number, part in enumerate(parts):
            if number and "=" in part and "@" not in part:
                names[-1] += f",{part}"
            else:
                names.append(part.strip())
    return tuple(names)


def variant_option(said: str) -> Callable[..., Any]:
    """`--variant`, of commands that take several."""
    return click.option(
        "--variant",
        "names",
        multiple=True,
        metavar="NAME[,NAME]",
        shell_complete=complete_variant,
        callback=listed,
        help=said,
    )


def writable(context: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """A file that cannot be written is refused before the work, which may take long."""
    if path not in (None, "-") and not context.resilient_parsing:
        from analyzer.core.files import require_writable

        require_writable(path, advice=f"name another file with {parameter.opts[0]}")
    return path


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("-o", "--output", metavar="FILE", callback=writable,
                        help="Write there instead; the file is replaced whole.")(command)  # fmt: skip


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--format` and `-o`, the same on every command."""
    command = output_option(command)
    return click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="Default: table.")(
        command
    )


class Several(click.ParamType[Any]):
    """`1,8,32`: several values after one option, none twice."""

    name = "list"

    def __init__(self, known: tuple[str, ...] | None = None) -> None:
        self.known = known

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        found = [self._one(part.strip(), value) for part in value.split(",")]
        return tuple(dict.fromkeys(found))

    def _one(self, part: str, value: str) -> Any:
        if self.known is not None:
            if part not in self.known:
                self.fail(f"{one_line(part)!r} is none of {', '.join(self.known)}")
            return part
        if not part.isascii() or not part.isdigit() or not 1 <= int(part) <= 1_000_000:
            self.fail(f"{one_line(value)!r} is no list of whole numbers from 1 to 1000000, such as 1,8,32")
        return int(part)
