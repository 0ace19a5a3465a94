"""The commands that are processes: each runs until SIGTERM or SIGINT, which lets it finish what it holds."""

import asyncio
import os
import re
import socket
from pathlib import Path
from typing import Final

import click
from pydantic import ValidationError

from worker import process
from worker.cli.exits import CommandError, Exit
from worker.observability.metrics import DOOR, INTAKE, RECORDER, SWEEP
from worker.settings import Settings

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_CELERYS: Final = re.compile(r"CELERY_.*|APP|BROKER_URL|RESULT_BACKEND|LOADER|CONFIG_MODULE|SKIP_CHECKS")


@click.command()
def intake() -> None:
    """Take in events and publish the provider calls they ask for."""
    from worker.intake import intake as entry  # noqa: PLC0415 - each process imports its own parts only

    process.run(entry.run, INTAKE)


@click.command()
def recorder() -> None:
    """Write outcomes and dead letters into the ledger."""
    from worker import recorder as entry  # noqa: PLC0415 - each process imports its own parts only

    process.run(entry.run, RECORDER)


@click.command()
def door() -> None:
    """Take in what directories and identity providers send, at the doors of the settings.

    An event is in the broker, or in the outbox, before its sender is told that it was taken.
    """
    from worker.doors import main as entry  # noqa: PLC0415 - each process imports its own parts only

    process.run(entry.run, DOOR)


@click.command()
def sweep() -> None:
    """Look at the sources of doors, at whatever they do not push, or failed to.

    An event is in the broker, or in the outbox, before the next look begins behind it.
    """
    from worker.doors.sweeping import main as entry  # noqa: PLC0415 - each process imports its own parts only

    process.run(entry.run, SWEEP)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8099, show_default=True, type=click.IntRange(0, 65_535), help="0: any free one.")
@click.option("--faults", type=_FILE, help="JSON list of faults to play.")
@click.option("--journal", type=_FILE, help="File that every request is appended to, a JSON line each.")
@click.option("--latency", default=0.0, type=click.FloatRange(0), help="Seconds before each answer.")
@click.option("--auto-issue", is_flag=True, help="Take unknown tokens sbx-… and unknown users as live.")
def sandbox(  # noqa: PLR0913 - one for each option
    *, host: str, port: int, faults: Path | None, journal: Path | None, latency: float, auto_issue: bool
) -> None:
    """Serve Genesys, Finbourne and Wibmo stand-ins until Ctrl-C. Prints the base URL on stdout."""
    from worker.sandbox import SandboxConfig, serve  # noqa: PLC0415 - each process imports its own parts only

    process.start_without_settings()
    config = SandboxConfig(faults_file=faults, journal_file=journal, latency_seconds=latency, auto_issue=auto_issue)
    try:
        asyncio.run(process.run_until_signal(serve(config, host, port, on_ready=_ready)))
    except ValidationError as error:
        raise CommandError(f"--faults: {error.error_count()} fault(s) are not well-formed", Exit.REFUSED) from None
    except OSError as error:
        raise CommandError(f"the sandbox cannot start: {error.strerror or type(error).__name__}") from None


def _ready(url: str) -> None:
    process.mark_ready()
    click.echo(url)
    click.echo("Ctrl-C ends it.", err=True)


@click.command()
@click.option("--once", is_flag=True, help="End when the samples are settled; 1 where one is not as it should be.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print the figures.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var"),
    show_default=True,
    help="Where broker, ledger, keys, configuration and logs are kept.",
)
def run(*, once: bool, output: str, state_dir: Path) -> None:
    """Run everything on this machine and publish sample events: every provider, every outcome.

    Broker, ledger and sandbox providers need no server. REVOKER_BROKER_URL=amqp://… and
    REVOKER_LEDGER_URL=postgresql+psycopg://… run the same on servers of yours. It stays up until Ctrl-C.
    """
    from worker.demo import run as entry  # noqa: PLC0415 - each process imports its own parts only

    if not entry.run(entry.RunOptions(state_dir.absolute(), once=once, as_json=output == "json")):
        raise CommandError("not everything is as it should be: see above")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[CELERY OPTIONS]")
def worker(arguments: tuple[str, ...]) -> None:
    """Make the provider calls: becomes `celery -A worker worker`, with any further options for it."""
    Settings.load()  # a fault in the settings ends the command here, in one line
    # Not `celery -A worker`: where it looks for an application, Celery imports from the folder it is started in.
    command = [*process.PYTHON, "worker.celery", *celery_arguments(), *arguments]
    # Without what Celery would listen to: another broker would come before that of the settings.
    environment = {name: value for name, value in os.environ.items() if not _CELERYS.fullmatch(name)}
    os.execve(process.PYTHON[0], command, environment)  # noqa: S606 - our own interpreter, no shell


def celery_arguments() -> list[str]:
    """The command line of the Celery worker. Its node name is new at each start: the broker may still know the last."""
    return [
        *("--quiet", "worker"),
        *("--hostname", f"revoker-{os.getpid()}@{socket.gethostname()}"),
        *("--without-gossip", "--without-mingle"),
    ]
