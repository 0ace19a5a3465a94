"""Consent: nothing is changed before somebody said so."""

from __future__ import annotations

import getpass
import socket
import sys

import click

from worker.cli.exits import CommandError, Exit
from worker.operations.text import plain

yes_option = click.option("--yes", is_flag=True, help="Do it without asking; needed where there is no terminal.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")


def require_consent(question: str, *, yes: bool) -> None:
    """Return where the operator agreed to *question*; else end the command, nothing changed (exit code 2).

    Asks on the terminal. Without one, `--yes` is the only consent: a wish for JSON is none.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("nothing was changed: without a terminal to ask on, --yes is needed", Exit.REFUSED)
    if not click.confirm(plain(question), err=True):  # it may hold a source's name
        raise CommandError("nothing was changed", Exit.REFUSED)


def operator() -> str:
    """Who is at the keyboard, for the audit: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in a container
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
