"""A command answers at once: of what takes long to import, it imports what it needs and nothing else."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

import pytest

SETTINGS: Final = frozenset({"cryptography", "joserfc", "pydantic_settings"})
LEDGER: Final = SETTINGS | {"sqlalchemy"}
BROKER: Final = frozenset({"amqp", "billiard", "kombu", "yaml"})
PROVIDERS: Final = frozenset({"aiohttp", "yarl"})
HEAVY: Final = sorted({
    *(LEDGER | BROKER | PROVIDERS),
    *("alembic", "celery", "jinja2", "opentelemetry", "prometheus_client", "psycopg", "requests"),
    *("sentry_sdk", "urllib3"),
})  # fmt: skip

COMMANDS: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset(),
    "dlq": frozenset(),
    "intake": SETTINGS,
    "health": SETTINGS,
    "exposure": LEDGER,
    "explain": LEDGER,
    "audit list": LEDGER,
    "dlq causes": LEDGER,
    "dlq list": LEDGER | BROKER,
    "keys list": LEDGER | BROKER,
    "publish": LEDGER | BROKER,
    "provider list": LEDGER | PROVIDERS,
}

# Each command is tried in a process of its own; what is in no list here is imported once for all of them.
PROGRAM: Final = """
import contextlib, io, json, os, sys
import pydantic.main, rich.console, rich.progress, rich.table, worker.cli
heavy, found = json.loads(sys.argv[1]), {}
for command in json.loads(sys.argv[2]):
    reader, writer = os.pipe()
    if os.fork() == 0:
        with contextlib.redirect_stdout(io.StringIO()):
            worker.cli.main([*command.split(), "--help"], standalone_mode=False)
        os.write(writer, json.dumps([name for name in heavy if name in sys.modules]).encode())
        os._exit(0)
    os.close(writer)
    found[command] = json.loads(os.read(reader, 4096))
    os.wait()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imported() -> Mapping[str, list[str]]:
    """What each command has imported, of what is heavy, once it has shown its help."""
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(HEAVY), json.dumps(list(COMMANDS))],
        check=True,
        capture_output=True,
        text=True,
    )
    found: Mapping[str, list[str]] = json.loads(told.stdout)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_of_what_is_heavy_what_it_needs(command: str, imported: Mapping[str, list[str]]) -> None:
    """Nobody waits for a client of providers to read a table of the ledger; a later import fails here by its name."""
    assert set(imported[command]) == COMMANDS[command]
