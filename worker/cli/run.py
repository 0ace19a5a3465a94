"""`revoker run`: everything on this machine, with sample events, to watch it work."""

from pathlib import Path

import click

from worker.cli.exits import CommandError
from worker.demo.run import RunOptions
from worker.demo.run import run as run_demo


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
    if not run_demo(RunOptions(state_dir.absolute(), once=once, as_json=output == "json")):
        raise CommandError("not everything is as it should be: see above")
