"""The tree of commands: parts that are imported when used, failures that are one line and an exit code."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from worker import process_one
from worker.cli import terminal
from worker.cli.exits import CommandError, Exit, as_command_error


class Commands(click.Group):
    """A group of commands. Of *parts* (name → where it is, what it does) only the one that is used is imported."""

    def __init__(self, *args: Any, parts: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **kwargs)
        self._parts = dict(parts or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The parts in the order they were given, then the commands that are here already."""
        return [*self._parts, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command *cmd_name*, imported now if it is a part."""
        if cmd_name not in self._parts:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._parts[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the parts without importing any."""
        if not self._parts:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, does) for name, (_, does) in self._parts.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        """Run the command. What operators can act on ends in one line, never in a stack trace."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            raise CommandError("interrupted; the same command does the rest", Exit.INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:  # noqa: BLE001 - a bug is raised again as it is
            raise (as_command_error(error) or error) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's own
        """Run it as a program of its own, whatever stdout and stderr are."""
        process_one.end_at_a_signal()
        terminal.prepare()
        return super().main(*args, **kwargs)
