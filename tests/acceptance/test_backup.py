"""docs/backup.md as it is typed: back up, lose everything, restore, and nobody is forgotten."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from documents import blocks, section
from servers import PostgresCluster, Processes, wait_until
from sqlalchemy import make_url
from system import System, digest

SETTINGS, STATE = "/etc/revoker", "/var/lib/revoker"  # as the page has them


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of ledger and broker."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def installation(state: Path, ledger_url: str, processes: Processes) -> System:
    """An installation on the embedded broker, with that ledger."""
    url = f"embedded:///{state / 'broker.sqlite3'}"
    return System(state.parent / "settings", url, processes, ledger_url=ledger_url)


@pytest.fixture
def system(state: Path, processes: Processes) -> Iterator[System]:
    """One with everything in files."""
    made = installation(state, f"sqlite:///{state / 'ledger.sqlite3'}", processes)
    yield made
    made.close()


def shell(system: System, heading: str, state: Path) -> None:
    """Type what stands below *heading* and is no command of ours, in this installation's folders."""
    is_sqlite = system.document["ledger_url"].startswith("sqlite")
    other = "service=revoker" if is_sqlite else "/ledger.sqlite3"  # the other kind of ledger
    lines = "".join(blocks("sh", section(heading))).replace("\\\n", "").splitlines()
    text = "\n".join(line for line in lines if other not in line and not line.startswith("revoker "))
    text = text.replace(SETTINGS, str(system.home)).replace(STATE, str(state))
    env = {"PATH": os.environ["PATH"], "HOME": str(state.parent), "PGSERVICEFILE": str(_service_file(system, state))}
    command = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(command, cwd=state.parent, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def _service_file(system: System, state: Path) -> Path:
    url = make_url(system.document["ledger_url"])
    file = state.parent / "pg_service.conf"
    file.write_text(f"[revoker]\nhost={url.host}\nport={url.port}\nuser={url.username}\ndbname={url.database}\n")
    return file


def lose(system: System, state: Path) -> None:
    """Have everything gone that lies in files: the settings with their keys, the ledger, the broker."""
    system.close()
    for folder in (state, system.home / "keys"):
        shutil.rmtree(folder)
    (system.home / "revoker.toml").unlink()


def told(system: System, person: str, code: int) -> list[str]:
    """The states that `revoker explain` tells of *person*."""
    answer: dict[str, Any] = json.loads(system.revoker("explain", person, "-o", "json", code=code).stdout)
    return [part["state"] for part in answer["items"]]


def test_what_was_backed_up_and_restored_explains_as_before_and_nothing_is_lost(system: System, state: Path) -> None:
    """A dead letter of before can be replayed; what came after the backup is published again and done, once."""
    running = system.start()
    out, dead, later = (_ended(system, name) for name in ("out", "dead", "later"))
    system.script({"fault": "status", "status": 403, "match": dead["token"], "operation": "genesys.delete_tokens_me"})
    system.publish([out["event"], dead["event"]])
    system.wait_closed([out["event"]["id"], dead["event"]["id"]])
    for process in running:
        process.stop()
    shell(system, "Back up", state)
    running = system.start()
    system.publish([later["event"]])
    system.wait_closed([later["event"]["id"]])
    for process in running:
        process.kill9()
    lose(system, state)
    shell(system, "Restore", state)
    for command in ("ledger upgrade", "config show", "keys list", "dlq list", "audit verify"):
        assert f"revoker {command}" in section("Restore")
        system.revoker(*command.split())
    assert told(system, out["person"], 0) == ["confirmed"]
    assert told(system, dead["person"], 1) == ["dead"]
    system.heal()
    system.start()
    system.publish([out["event"], dead["event"], later["event"]])
    system.revoker("dlq", "replay", "--died-of", "auth.forbidden", "--yes", "--wait", "30")
    wait_until(lambda: digest(dead["token"]) in system.revoked(), 30, "the replayed call")
    wait_until(lambda: told(system, later["person"], 0) == ["already_revoked"], 30, "what came after the backup")
    calls = [each["key"] for each in system.journal() if each["operation"] == "genesys.delete_tokens_me"]
    assert calls.count(digest(out["token"])) == 1


def test_a_ledger_on_postgresql_is_restored_as_it_was(
    state: Path, processes: Processes, postgres: PostgresCluster, postgres_url: str
) -> None:
    """A hold of before is there again."""
    system = installation(state, postgres_url, processes)
    system.publish([])
    system.revoker("provider", "hold", "genesys", "--reason", "before the backup", "--yes")
    shell(system, "Back up", state)
    lose(system, state)
    database = str(make_url(postgres_url).database)
    postgres.drop_database(database)
    postgres._run(f"CREATE DATABASE {database}")
    shell(system, "Restore", state)
    assert "before the backup" in system.revoker("provider", "list", "-o", "json").stdout


def _ended(system: System, name: str) -> dict[str, Any]:
    """A person of that name, the token of their session, and the event that ends it."""
    token, person = f"sbx-{uuid4()}", f"{name}@example.com"
    event = system.ended(system.session("genesys", token))
    event["data"]["sub_id"] = {"format": "email", "email": person}
    return {"person": person, "token": token, "event": event}
