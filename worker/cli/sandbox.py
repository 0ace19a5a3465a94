"""`revoker sandbox`: the providers' stand-ins, for trying things out."""

import asyncio
from pathlib import Path

import click
from pydantic import ValidationError

from worker import process
from worker.cli.exits import CommandError, Exit
from worker.cli.output import note
from worker.sandbox import SandboxConfig, serve

_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8099, show_default=True, type=click.IntRange(0, 65_535), help="0: any free one.")
@click.option("--faults", type=_file, help="JSON list of faults to play.")
@click.option("--journal", type=_file, help="File that every request is appended to, a JSON line each.")
@click.option("--latency", default=0.0, type=click.FloatRange(0), help="Seconds before each answer.")
@click.option("--auto-issue", is_flag=True, help="Take unknown tokens sbx-… and unknown users as live.")
def sandbox(  # noqa: PLR0913 - one for each option
    *, host: str, port: int, faults: Path | None, journal: Path | None, latency: float, auto_issue: bool
) -> None:
    """Serve Genesys, Finbourne and Wibmo stand-ins until Ctrl-C. Prints the base URL on stdout."""
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
    note("Ctrl-C ends it.")
