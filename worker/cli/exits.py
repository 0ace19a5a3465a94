"""How a command ends: the exit codes, and the one clear line that goes with each that is not success."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from enum import IntEnum

import click


class Exit(IntEnum):
    """The exit codes; those from 64 are of sysexits.h, 130 is a shell's code for Ctrl-C."""

    DONE = 0
    FAILED = 1
    REFUSED = 2  # a usage error, or consent missing: nothing was changed
    PARTIAL = 3
    EMPTY = 4
    UNAVAILABLE = 69
    NOT_PERMITTED = 77
    INTERRUPTED = 130  # what was done is done; the same command does the rest


class CommandError(click.ClickException):
    """A command that did not do what was asked, in one line that shows no secret, with its exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc] # click declares it for the class, and reads it from the instance

    def format_message(self) -> str:
        """The message with nothing in it that acts on a terminal: it may name a file, or hold what a server said."""
        plain: Callable[[str], str] = importlib.import_module("worker.cli.output").plain  # on failure only
        return "\n".join(map(plain, self.message.splitlines()))


def finish(code: Exit) -> None:
    """End the command with *code*; success needs no ending."""
    if code is not Exit.DONE:
        click.get_current_context().exit(code)
