"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, TypeAlias

import click

from analyzer.cli.output import FORMATS
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, one_line, quoted

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
MAX_COUNT = 1_000_000


def complete_variant(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Shell completion: the names of the built-in networks."""
    from analyzer.networks import VARIANTS

    return [name for name in VARIANTS if name.startswith(incomplete)]


def split_names(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Splits at commas: `a,b@x.out=1,y.out=2,c` is three names, since `y.out=2` continues the overrides of `b`."""
    names: list[str] = []
    for text in texts:
        parts = text.split(",")
        if len(parts) > 1 and not all(map(str.strip, parts)):
            raise AnalyzerError(f"empty name in --variant {quoted(text)}; wanted NAME[,NAME], no spaces")
        for number, part in enumerate(parts):
            if number and "=" in part and "@" not in part:
                names[-1] += f",{part}"
            else:
                names.append(part.strip())
    return tuple(names)


# fmt: off
SELECTION_OPTIONS: dict[str, Decorator] = {
    "model": click.option(
        "--model", "references", multiple=True, metavar="REF",
        help="Your model: FILE.py:NAME, PACKAGE.MODULE:NAME, FILE.pt2, torchvision:NAME, timm:NAME or hf:NAME. "
             "Runs its code."),
    "variant": click.option(
        "--variant", "variants", multiple=True, metavar="NAME[,NAME]", shell_complete=complete_variant,
        callback=split_names, help="Built-in network, see analyze list. NAME@PATH.KEY=N changes a number in it, "
             "such as googlenet@inception_4a.reduce_5x5=32."),
    "set": click.option(
        "--set", "overrides", multiple=True, metavar="PATH.KEY=N",
        help="Change a number in every selected variant that has it."),
    "input": click.option(
        "--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]",
        help="Input shape without the batch, such as 3x320x320 or ids=128:int64; repeat it for several inputs. "
             "Default: the model's default input, if it has one."),
    "batch": click.option(
        "--batch", type=click.IntRange(1, MAX_COUNT), default=1, show_default=True, metavar="N", help="Batch size."),
    "mode": click.option(
        "--mode", type=click.Choice(["inference", "training"]),
        help="Training adds the backward pass and the auxiliary classifiers. Default: inference."),
    "timeout": click.option(
        "--timeout", "timeout_s", type=click.FloatRange(0.1, 1e6), metavar="SECONDS",
        help="Time limit for counting each --model. Default: 600."),
    "train": click.option("--train", is_flag=True, help="Same as --mode training."),
}
# fmt: on


def selection_options(*, without: Collection[str] = ()) -> Decorator:
    """Adds the options that select models, and passes them to the command as one `selection`.

    `without` names options that the command lacks, such as `{"set", "mode"}`; `mode` includes `--train`.
    """
    left_out = {*without, "train"} if "mode" in without else {*without}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_selection(*arguments: Any, mode: str | None = None, train: bool = False, **options: Any) -> Any:
            if train and mode == "inference":
                raise AnalyzerError("--train and --mode inference contradict each other; give one")
            fields = {name: options.pop(name) for name in Selection.fields if name in options}
            selection = Selection(**fields, training=train or mode == "training")
            if selection.references and "timeout" not in left_out:
                from analyzer.worker import client

                client.start()  # It imports torch while this process imports the rest.
            return command(*arguments, selection=selection, **options)

        decorated: Callable[..., Any] = with_selection
        for name, option in reversed(SELECTION_OPTIONS.items()):
            if name not in left_out:
                decorated = option(decorated)
        return decorated

    return decorate


def require_writable_output(context: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """Refuses a file that cannot be written before the work begins, which may take long."""
    if path not in (None, "-") and not context.resilient_parsing:
        from analyzer.core.files import require_writable

        require_writable(path, advice=f"name another file with {parameter.opts[0]}")
        others: dict[str, str] = context.meta.setdefault("analyzer.outputs", {})
        option = others.setdefault(os.path.realpath(path), parameter.opts[0])
        if option != parameter.opts[0]:
            raise AnalyzerError(f"{option} and {parameter.opts[0]} name the same file {quoted(path)}; name two")
    return path


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `-o FILE`."""
    return click.option("-o", "--output", metavar="FILE", callback=require_writable_output,
                        help="Write to FILE instead of standard output; replaces the file.")(command)  # fmt: skip


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--format` and `-o FILE`."""
    command = output_option(command)
    return click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="Default: table.")(
        command
    )


class CommaSeparated(click.ParamType):  # type: ignore[type-arg]  # Generic from click 8.4 only.
    """`1,8,32`: whole numbers, or words of a known set, separated by commas; repeated values are dropped."""

    name = "list"

    def __init__(self, choices: tuple[str, ...] | None = None) -> None:
        self.choices = choices

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(self._convert_part(part.strip(), value) for part in value.split(",")))

    def _convert_part(self, part: str, value: str) -> Any:
        if self.choices is not None:
            if part not in self.choices:
                self.fail(f"{one_line(part)!r} is none of {', '.join(self.choices)}")
            return part
        if not part.isascii() or not part.isdigit() or not 1 <= int(part) <= MAX_COUNT:
            self.fail(f"{one_line(value)!r} is not a list of whole numbers from 1 to {MAX_COUNT}, such as 1,8,32")
        return int(part)
