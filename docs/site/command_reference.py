"""Writes the reference of the command line, in Markdown, from the commands that Typer has built."""

from collections.abc import Iterator

import typer

_WIDTH = 100


def command_reference(app: typer.Typer) -> str:
    """A section for each command with the text of its `--help`, groups by their commands.

    Args:
        app: the program `fdabench`.
    """
    command = typer.main.get_command(app)
    root = typer.Context(command, info_name="fdabench", terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    return "\n".join(_sections(root))


def _sections(context: typer.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n"
    yield f"```text\n{context.get_help().rstrip()}\n```\n"
    commands = getattr(context.command, "commands", {})
    for name in sorted(commands):
        inner = typer.Context(commands[name], parent=context, info_name=name, terminal_width=_WIDTH)
        yield from _sections(inner)
