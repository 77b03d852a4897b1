"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import click

from analyzer.cli.completion_values import complete_model, complete_override, complete_variant
from analyzer.cli.model_arguments import sort_models, split_names
from analyzer.cli.output import FORMATS
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.networks import builtin_name

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
MAX_COUNT = 1_000_000
OTHER_FORMS = (".html", ".pdf", ".xlsx", ".xml", ".yaml", ".yml", ".parquet", ".svg", ".png", ".ipynb", ".docx")
FORM_BY_SUFFIX = {".json": "json", ".csv": "csv", ".md": "md", ".tex": "latex"}
SOURCES = (".py", ".pt2", ".toml")  # Files that are read, which an output does not replace.


class Number(click.FloatRange):
    """A range without nan, which is neither below nor above any limit."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, parameter, context)
        return number if number == number else self.fail(f"{number} is not a number")


def split_variants(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The names of `--variant`, in any case."""
    return tuple(map(builtin_name, split_names(texts, "--variant")))


def split_references(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The references of `--model`. A folder of `hf:FOLDER` may contain a comma."""
    return tuple(name for text in texts for name in ([text] if ":/" in text else split_names([text], "--model")))


def select_models(selection: Selection, models: Sequence[str]) -> Selection:
    """The selection with models that are arguments of the command, in front of those of its options."""
    variants, references = sort_models(models)
    return selection.replace(
        variants=(*variants, *selection.variants),
        references=(*references, *selection.references),
        order=tuple(map(builtin_name, split_names(models, "the model"))),
    )


def add_options(command: Callable[..., Any], options: Iterable[Decorator]) -> Callable[..., Any]:
    """The command with options, which its help lists in this order."""
    for option in reversed(list(options)):
        command = option(command)
    return command


def given_parameters(context: click.Context) -> list[str]:
    """The names of the parameters that the command line has."""
    from_command_line = click.core.ParameterSource.COMMANDLINE
    return [name for name in context.params if context.get_parameter_source(name) == from_command_line]


def has_subcommand(context: click.Context) -> bool:
    """Whether the name of a subcommand follows. Raises AnalyzerError for options in front of it."""
    if context.invoked_subcommand and given_parameters(context):
        raise AnalyzerError(f"options of {context.command_path} {context.invoked_subcommand} go after its name")
    return bool(context.invoked_subcommand)


# fmt: off
SELECTION_OPTIONS: dict[str, Decorator] = {
    "model": click.option(
        "--model", "references", multiple=True, metavar="REF[,REF]", callback=split_references,
        shell_complete=complete_model,
        help="Your model: FILE.py, FILE.py:NAME, PACKAGE.MODULE:NAME, FILE.pt2, torchvision:NAME, timm:NAME or "
             "hf:NAME. Runs its code."),
    "variant": click.option(
        "--variant", "variants", multiple=True, metavar="NAME[,NAME]", shell_complete=complete_variant,
        callback=split_variants, help="Built-in network, see analyze list. NAME@PATH.KEY=N changes a number in it, "
             "such as googlenet@inception_4a.reduce_5x5=32."),
    "set": click.option(
        "--set", "overrides", multiple=True, metavar="PATH.KEY=N", shell_complete=complete_override,
        help="Change a number in every selected variant that has it."),
    "input": click.option(
        "--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]",
        help="Input shape without the batch, such as 3x320x320 or ids=128:int64. Repeat it for several inputs. "
             "Default: the model's default input, if it has one."),
    "batch": click.option(
        "--batch", type=click.IntRange(1, MAX_COUNT), default=1, show_default=True, metavar="N", help="Batch size."),
    "mode": click.option(
        "--mode", type=click.Choice(["inference", "training"]),
        help="Run the model for inference or for training. Default: inference."),
    "timeout": click.option(
        "--timeout", "timeout_s", type=Number(0.1, 1e6), metavar="SECONDS",
        help="Time limit for counting each model that is not built in. Default: 600."),
    "train": click.option(
        "--train", is_flag=True,
        help="Training: adds the backward pass, and any auxiliary classifiers. Same as --mode training."),
}
# Instead of the option above, for commands that time; below `selection_options(without={"train"})`.
train_step_option = click.option(
    "--train", is_flag=True,
    help="Time training steps: forward, backward and an SGD step, with any auxiliary classifiers. Same as --mode "
         "training.")
# fmt: on


def selection_options(*, without: Collection[str] = (), several: bool = True) -> Decorator:
    """Adds the arguments and options that select models, and passes them to the command as one `selection`.

    `without` names those that the command lacks, such as `{"set", "mode", "models"}`; `mode` includes `--train`. The
    usage of a command for one model shows that with `several=False`; the command refuses several with advice.
    """
    left_out = {*without, "train"} if "mode" in without else {*without}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_selection(*arguments: Any, mode: str | None = None, train: bool = False, **options: Any) -> Any:
            if train and mode == "inference":
                raise AnalyzerError("--train and --mode inference contradict each other; give one")
            fields = {name: options.pop(name) for name in Selection.fields if name in options}
            selection = Selection(**fields, training=train or mode == "training")
            selection = select_models(selection, options.pop("models", ()))
            if selection.references and "timeout" not in left_out:
                from analyzer.worker import client

                client.start()  # It imports torch while this process imports the rest.
            return command(*arguments, selection=selection, **options)

        decorated: Callable[..., Any] = with_selection
        if "models" not in left_out:
            metavar = "[MODEL ...]" if several else "[MODEL]"
            decorated = click.argument("models", nargs=-1, metavar=metavar, shell_complete=complete_model)(decorated)
        return add_options(decorated, (option for name, option in SELECTION_OPTIONS.items() if name not in left_out))

    return decorate


def require_writable_output(context: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """Refuses a file that cannot be written before the work begins, which may take long."""
    if path not in (None, "-") and not context.resilient_parsing:
        from analyzer.core.files import require_writable

        advice = f"name another file with {parameter.opts[0]}"
        require_writable(path, advice=advice)
        if path.lower().endswith(SOURCES) and Path(path).exists():
            raise AnalyzerError(f"{quoted(path)} may be a model or a configuration, and would be replaced; {advice}")
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
    """Adds `--format` and `-o FILE`, whose suffix is the default of the format."""
    return _with_form(command, FORM_BY_SUFFIX)


def output_or_page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `output_options`, with `html`: a page with charts."""
    return _with_form(command, {**FORM_BY_SUFFIX, ".html": "html"})


def _with_form(command: Callable[..., Any], by_suffix: Mapping[str, str]) -> Callable[..., Any]:
    @wraps(command)
    def with_form(*arguments: Any, form: str | None, output: str | None, **options: Any) -> Any:
        suffix = Path(output or "").suffix.lower()
        if form is None and suffix in OTHER_FORMS and suffix not in by_suffix:
            raise AnalyzerError(
                f"-o {one_line(output or '')}: cannot write {suffix}; wanted {', '.join(by_suffix)}, or another suffix "
                "for the text of the terminal"
            )
        form = form or by_suffix.get(suffix, "table")
        return command(*arguments, form=form, output=output, **options)

    forms = tuple(dict.fromkeys((*FORMATS, *by_suffix.values())))
    option = click.option("--format", "form", type=click.Choice(forms), metavar="NAME",
                          help=f"{', '.join(forms)}. Default: by the suffix of -o FILE ({', '.join(by_suffix)}), "
                               "else table.")  # fmt: skip
    return option(output_option(with_form))


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
        # Python refuses to convert more than 4,300 digits.
        if not part.isascii() or not part.isdigit() or len(part) > 80 or not 1 <= int(part) <= MAX_COUNT:
            self.fail(f"{one_line(value)[:80]!r} is not a list of whole numbers from 1 to {MAX_COUNT}, such as 1,8,32")
        return int(part)
