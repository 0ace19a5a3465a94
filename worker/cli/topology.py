"""`revoker topology`: the broker's exchanges and queues."""

from __future__ import annotations

from worker.cli.opening import open_publisher
from worker.cli.output import say
from worker.cli.tree import Commands
from worker.settings import Settings

topology = Commands("topology", help="The broker's exchanges and queues.")


@topology.command()
def declare() -> None:
    """Declare them, for processes whose broker users may not. Again after each new provider and each upgrade."""
    with open_publisher(Settings.load()):
        say("exchanges and queues are as they should be")
