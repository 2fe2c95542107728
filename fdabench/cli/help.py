"""Formats the help of commands as plain text: options and commands are grouped under panels, as in rich's help."""

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

RUN, INSPECT, GATE, REFERENCE = "Run", "Inspect", "Gate", "Reference"
"""The panels under which the help of `fdabench` lists the commands."""
EXIT_CODES = {
    0: "success",
    2: "invalid command, suite or folder; nothing was written",
    3: "a cell failed; the results of the other cells are saved",
    70: "a bug in fdabench; the message names a file with the traceback",
    75: "stopped by --max-time; the same command continues the run",
    130: "interrupted by Ctrl-C; the same command continues the run",
    143: "terminated by SIGTERM; the same command continues the run",
}
_COMMON = (0, 2, 70)
HelpRows = list[tuple[str, str]]


class Command(TyperCommand):
    """A command whose help groups the options under their panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the panels in the order of their first options. Options without a panel are under `Options`."""
        panels: dict[str, HelpRows] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                is_argument = parameter.param_type_name == "argument"
                panel = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
                panels.setdefault(panel or "Options", []).append(row)
        _write(formatter, panels)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the epilog without rewrapping its lines."""
        _write_lines(formatter, self.epilog or "")


class CommandGroup(TyperGroup):
    """A group of commands whose help lists the commands under their panels.

    Panels are in the order of their first commands.
    """

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the panels without hidden commands. Commands without a panel are under `Commands`."""
        panels: dict[str, HelpRows] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                row = (name, command.get_short_help_str(limit=formatter.width))
                panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append(row)
        _write(formatter, panels)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the epilog without rewrapping its lines."""
        _write_lines(formatter, self.epilog or "")


def _write(formatter: Any, panels: Mapping[str, HelpRows]) -> None:
    for name, rows in panels.items():
        with formatter.section(name):
            formatter.write_dl(rows)


def _write_lines(formatter: Any, text: str) -> None:
    if text:
        formatter.write(f"\n{text}\n")


def example(command: str, *more_codes: int, others: Mapping[int, str] | None = None) -> str:
    """Return the epilog of a command's help: an example, and the exit codes.

    Args:
        command: the example, a command line that works.
        more_codes: keys of `EXIT_CODES`, in addition to those that every command has.
        others: exit codes that have a meaning of their own for this command.
    """
    codes = {code: EXIT_CODES[code] for code in (*_COMMON, *more_codes)} | dict(others or {})
    lines = [f"  {code:<4}{meaning}" for code, meaning in sorted(codes.items())]
    return "\n".join(["Example:", f"  {command}", "", "Exit codes:", *lines])
