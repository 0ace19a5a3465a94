"""`revoker run`: everything on this machine, with sample events, to watch it work."""

from pathlib import Path

import click

from worker.broker.publication import PublishError
from worker.cli.exits import CommandError, Exit
from worker.demo.run import Interrupted, RunOptions, Unreachable
from worker.demo.run import run as run_demo
from worker.demo.state_dir import StateError
from worker.demo.supervisor import ProcessFailed
from worker.sandbox.client import SandboxError

_CODES = {
    StateError: Exit.REFUSED,
    ProcessFailed: Exit.FAILED,
    SandboxError: Exit.FAILED,
    Unreachable: Exit.UNAVAILABLE,
    PublishError: Exit.UNAVAILABLE,
    Interrupted: Exit.INTERRUPTED,
}


@click.command
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
    try:
        is_fine = run_demo(RunOptions(state_dir.absolute(), once=once, as_json=output == "json"))
    except tuple(_CODES) as error:
        raise CommandError(str(error), next(code for kind, code in _CODES.items() if isinstance(error, kind))) from None
    if not is_fine:
        raise CommandError("not everything is as it should be: see above")
