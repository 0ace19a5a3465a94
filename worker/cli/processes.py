"""The commands that are processes: each runs until SIGTERM or SIGINT, which lets it finish what it holds."""

import os
import re
import socket
from typing import Final

import click

from worker import process
from worker.settings import Settings

_CELERYS: Final = re.compile(r"CELERY_.*|APP|BROKER_URL|RESULT_BACKEND|LOADER|CONFIG_MODULE|SKIP_CHECKS")


@click.command()
def intake() -> None:
    """Take in events and publish the provider calls they ask for."""
    from worker.intake import intake as entry  # noqa: PLC0415 - each process imports its own parts only

    process.run(entry.run)


@click.command()
def recorder() -> None:
    """Write outcomes and dead letters into the ledger."""
    from worker import recorder as entry  # noqa: PLC0415 - each process imports its own parts only

    process.run(entry.run)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[CELERY OPTIONS]")
def worker(arguments: tuple[str, ...]) -> None:
    """Make the provider calls: becomes `celery -A worker worker`, with any further options for it."""
    Settings.load()  # a fault in the settings ends the command here, in one line
    # Not `celery -A worker`: where it looks for an application, Celery imports from the folder it is started in.
    command = [*process.PYTHON, "worker.celery", *celery_arguments(), *arguments]
    os.execve(process.PYTHON[0], command, _without_celerys())  # noqa: S606 - our own interpreter, no shell


def _without_celerys() -> dict[str, str]:
    """The environment without what Celery would listen to: another broker would come before that of the settings."""
    return {name: value for name, value in os.environ.items() if not _CELERYS.fullmatch(name)}


def celery_arguments() -> list[str]:
    """The command line of the Celery worker. Its node name is new at each start: the broker may still know the last."""
    return [
        *("--quiet", "worker"),
        *("--hostname", f"revoker-{os.getpid()}@{socket.gethostname()}"),
        *("--without-gossip", "--without-mingle"),
    ]
