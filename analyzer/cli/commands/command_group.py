"""The group of `analyze`: its arguments are models unless the first is a command; its help and completion."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from analyzer.cli.commands.help_by_topic import HELP_ALL, HelpContext, shows_all, summaries, write_options
from analyzer.cli.completion_values import complete_model

EXAMPLES = """\b
Examples:
  analyze net.py --input 3x224x224
  analyze resnet50 vgg16
  analyze 'net.py:Net(width=64)' googlenet --input 3x224x224
  analyze googlenet --module inception_4a --depth 2
  analyze googlenet googlenet@inception_4a.reduce_5x5=32
  analyze googlenet --train --verify
  analyze googlenet --train --memory --optimizer adamw --shard 8
  analyze googlenet -o googlenet.json

A MODEL is a built-in network (analyze list), FILE.py with one model, FILE.py:NAME, FILE.py:NAME(ARGUMENTS),
PACKAGE.MODULE:NAME, FILE.pt2, torchvision:NAME, timm:NAME, hf:NAME, or the bare name of a model of torchvision or timm.
If a command has the same name as a model, the name means the command; select the model with --model.

MACs are multiply-adds; one MAC is two FLOPs. Results go to standard output, messages to standard error.

\b
Exit status:
  0  success
  1  a check failed
  2  bad input
  3  could not measure
  4  a time check is inconclusive (check --strict)
  70  defect in macscope
  130  interrupted
"""
MAX_SHORT_EXAMPLES = 4


class ModelGroup(click.Group):
    """A group whose arguments are models, unless the first is the name of a command."""

    context_class = HelpContext

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        rest = self.make_parser(context).parse_args(list(arguments))[1] if not context.resilient_parsing else []
        if not rest or rest[0] in self.commands:
            return super().parse_args(context, arguments)
        context.allow_interspersed_args = True  # Options may follow models.
        click.Command.parse_args(self, context, arguments)
        context.params["models"], context.args = tuple(context.args), []
        return []

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        return [*super().get_params(context), HELP_ALL]

    def format_usage(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(context.command_path, "MODEL ... [OPTIONS]")
        formatter.write_usage(context.command_path, "COMMAND ...", prefix="       ")

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self.get_params(context), context, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(summaries(self.commands.values()))

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """All examples with `--help-all`, else the first ones."""
        if shows_all(context):
            return super().format_epilog(context, formatter)
        lines = [line.strip() for line in EXAMPLES.splitlines() if line.startswith("  analyze ")]
        with formatter.section("Examples"):
            for line in lines[:MAX_SHORT_EXAMPLES]:
                formatter.write(f"  {line}\n")
        formatter.write("\nAll options, kinds of models and exit statuses: analyze --help-all\n")
        return None

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and models; options are completed after a dash."""
        items = super().shell_complete(context, incomplete)
        return items if incomplete.startswith("-") else [*items, *complete_model(context, None, incomplete)]
