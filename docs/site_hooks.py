"""Hooks of MkDocs: pages generated from the code, and links to files of the repository."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from site_notebooks import notebook

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?:\.\./)+([\w./-]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages, and copies of the repository's files that pages link to."""
    sys.path.insert(0, str(ROOT))  # So that the pages are of this checkout. MkDocs restores the path after the import.
    from analyzer.cli.app import cli

    files.append(File.generated(config, "reference/commands.md", content="\n".join(commands(cli))))
    files.append(File.generated(config, "reference/api.md", content="\n".join(api())))
    linked = {path for file in files.documentation_pages() for path in outside(file)}
    for file in tutorials(files):
        files.append(File.generated(config, notebook_of(file), content=notebook(file.content_string)))
    for path in sorted(linked):
        files.append(File.generated(config, copy_of(path), abs_src_path=str(ROOT / path)))
    return files


def tutorials(files: Files) -> list[File]:
    return [file for file in files.documentation_pages() if file.src_uri.startswith("tutorials/")]


def notebook_of(file: File) -> str:
    return f"{file.src_uri.removesuffix('.md')}.ipynb"


def outside(file: File) -> list[str]:
    """The files of the repository, outside of `docs`, that a page links to."""
    return [path for path in LINK.findall(file.content_string) if (ROOT / path).is_file()]


def copy_of(path: str) -> str:
    """The address of a copy: as text, which browsers show. MkDocs leaves out names that begin with a dot."""
    return f"files/{path.lstrip('.')}.txt"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files outside of `docs` go to their copies; a tutorial links to its notebook."""
    up = "../" * page.file.src_uri.count("/")

    def link(match: re.Match[str]) -> str:
        copy = copy_of(match[1])
        return f"]({up}{copy})" if files.get_file_from_path(copy) else match[0]

    markdown = LINK.sub(link, markdown)
    if page.file in tutorials(files):
        name = Path(notebook_of(page.file)).name
        markdown += f"\n---\n\n[Download this page as a notebook]({name}), with the outputs shown here.\n"
    return markdown


def commands(group: click.Group) -> Iterator[str]:
    """The command reference: usage, help and options of each command."""
    yield "# Commands\n\nGenerated from the program: `analyze COMMAND --help` shows the same text.\n"
    for title, command in with_subcommands("analyze", group):
        context = click.Context(command, info_name=title, max_content_width=100, terminal_width=100)
        yield f"## {title}\n\n```text\n{command.get_usage(context)}\n```\n"
        yield help_text(command.help or "") + "\n"
        if command.epilog:
            yield help_text(command.epilog) + "\n"
        options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
        yield "| option | effect |\n|:--|:--|"
        for option in options:
            written, effect = option.get_help_record(context) or ("", "")
            yield f"| <code>{cell(written)}</code> | {cell(effect)} |"
        yield ""


def with_subcommands(title: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command with its name, then its subcommands."""
    yield title, command
    if isinstance(command, click.Group):
        for name, subcommand in sorted(command.commands.items()):
            if not subcommand.hidden:
                yield from with_subcommands(f"{title} {name}", subcommand)


def help_text(text: str) -> str:
    """Click's paragraphs; `\\b` keeps the lines of the next one."""
    paragraphs = text.replace("\f", "").split("\n\n")
    return "\n\n".join(
        f"```text\n{part.removeprefix(chr(8)).strip(chr(10))}\n```" if part.startswith("\b") else escape(part)
        for part in paragraphs
    )


def cell(text: str) -> str:
    return escape(" ".join(text.split())).replace("|", "&#124;")


def escape(text: str) -> str:
    return re.sub(r"([\\`*_\[])", r"\\\1", html.escape(text, quote=False))


def api() -> Iterator[str]:
    """The reference of the public names: functions first, then the types that they take and return."""
    import analyzer

    functions = [name for name in analyzer.__all__ if not isinstance(getattr(analyzer, name), type)]
    types = [name for name in analyzer.__all__ if name not in functions]
    yield "# Python API\n\nGenerated from the docstrings. [Python and notebooks](../python.md) is the guide.\n"
    for title, names in (("Functions", functions), ("Types", types)):
        yield f"## {title}\n"
        yield from (f"::: analyzer.{name}\n" for name in sorted(names, key=str.lower))
