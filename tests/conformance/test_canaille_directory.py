"""Canaille, a directory that others wrote, says by its own SCIM client whom it locks: they are out everywhere."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from door_installation import SCIM_SECRET, Installed
from door_peer import ISSUER
from servers import Processes, free_port, wait_until
from system import write_settings

pytest_plugins = ["door_fixtures"]

CANAILLE: Final = str(Path(__file__).parents[1] / "canaille/.venv/bin/canaille")
SETTINGS: Final = """
SECRET_KEY = "of-a-test-0123456789"
SERVER_NAME = "127.0.0.1:{port}"
PREFERRED_URL_SCHEME = "http"
CANAILLE_DATABASE = "sql"

[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{home}/canaille.sqlite3"
PASSWORD_SCHEMES = "plaintext"

[CANAILLE_SCIM]
ENABLE_CLIENT = true
"""


class Directory:
    """Canaille, which tells the SCIM service at *url* of every change to a person."""

    def __init__(self, home: Path, processes: Processes, url: str) -> None:
        home.mkdir()
        file = home / "canaille.toml"
        file.write_text(SETTINGS.format(port=free_port(), home=home))
        self._processes, self._env = processes, {"CANAILLE_CONFIG": str(file)}
        self._command("install")
        client = self._command(
            "create", "client", "--client-id", "revoker", "--client-name", "revoker", "--client-uri", url
        )
        token = ("--access-token", SCIM_SECRET, "--token-id", "of-revoker", "--type", "access_token")
        life = ("--issue-date", datetime.now(UTC).isoformat(), "--lifetime", "86400")
        self._command("create", "token", "--client", client["id"], *token, *life, "--quiet")

    def adds(self, name: str) -> str:
        """Take somebody on; return the directory's own id of them."""
        more = ("--family-name", "Byron", "--emails", f"{name}@example.com")
        return str(self._command("create", "user", "--user-name", name, *more)["id"])

    def locks(self, name: str) -> None:
        """Lock somebody out, from now on."""
        self._command("set", "user", name, "--lock-date", datetime.now(UTC).isoformat())

    def _command(self, *words: str) -> Any:
        done = self._processes.run(CANAILLE, *words, env=self._env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else None


@pytest.mark.timeout(180)
def test_whom_canaille_locks_is_out_at_every_provider(installed: Installed, tmp_path: Path) -> None:
    """Provisioned, then locked; the directory's id is the user's at the providers. Nobody else is logged out."""
    system = installed.system
    regions = [name for name in system.providers if name.startswith("genesys")]
    for name in regions:
        system.document["providers"][name]["subject_issuer"] = ISSUER
    write_settings(system.home, system.document)
    system.start()
    installed.open(REVOKER_DOORS__SCIM__WHOLE_SCHEMA="true")
    directory = Directory(tmp_path / "canaille", installed.processes, installed.scim)
    ada, grace = directory.adds("ada"), directory.adds("grace")
    assert not any(system.dead().values())
    directory.locks("ada")
    wait_until(lambda: all(ada in system.dead()[name] for name in regions), 60, "ada to be out everywhere")
    wait_until(lambda: "OUT everywhere" in system.revoker("explain", "ada").stdout, 30, "the ledger to know it")
    assert grace not in {each for dead in system.dead().values() for each in dead}
