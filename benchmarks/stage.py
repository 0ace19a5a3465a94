"""What all rows share: one RabbitMQ node, one provider, the peers' Python, a folder, and the processes started."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servers import Processes, RabbitNode

from benchmarks.counting import CountingProvider

HOME: Final = Path(__file__).parent
PYTHONPATH: Final = f"{HOME.parent}/tests:{HOME.parent}"  # of a process of ours, which is not the product's
PEERS: Final = HOME / "peers"
PEERS_BIN: Final = HOME / ".venv" / "bin"


@dataclass(frozen=True, slots=True)
class Stage:
    """What rows run on."""

    home: Path
    rabbitmq: RabbitNode
    processes: Processes
    provider: CountingProvider


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start the broker and the provider; end both, and all processes of all rows, at the end."""
    home = Path(tempfile.mkdtemp(prefix="revoker-bench-"))
    home.chmod(0o711)  # the user postgres passes through
    processes = Processes(home)
    node = RabbitNode(home / "rabbitmq")
    try:
        node.start()
        with closing(CountingProvider(processes, peers_python())) as provider:
            yield Stage(home, node, processes, provider)
    finally:
        processes.close()
        node.close()
        shutil.rmtree(home, ignore_errors=True)


def peers_python() -> str:
    """The interpreter of the peers' environment; our own where that was not made (uvloop is missing then)."""
    theirs = PEERS_BIN / "python"
    return str(theirs) if theirs.exists() else sys.executable
