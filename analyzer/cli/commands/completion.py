"""`analyze completion`: the script with which a shell completes commands, options, models, modules and claims."""

from __future__ import annotations

import click

from analyzer.cli.commands.help_by_topic import command

EXAMPLES = """\b
Examples:
  eval "$(analyze completion bash)"  # in ~/.bashrc
  eval "$(analyze completion zsh)"  # in ~/.zshrc
  analyze completion fish > ~/.config/fish/completions/analyze.fish
"""


@command(epilog=EXAMPLES, short_help="Print a script for completion in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes commands, options, files, models, modules and claims in bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "analyze", "_ANALYZE_COMPLETE")
    click.echo(script.source_template % script.source_vars())  # `source()` also starts bash, to check its version.
    return 0
