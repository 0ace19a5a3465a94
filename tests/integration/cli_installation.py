"""`revoker` as an operator types it, against an installation in a folder."""

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from replay_desk import Desk
from servers import Daemon

from worker.cli import main
from worker.sandbox import sandbox_providers

TOKEN = "planted-marker-token-0123456789"
REFERENCE = "planted-marker-reference-0123456789"
SECRETS = (TOKEN, REFERENCE, "sandbox-client-secret", "sandbox-api-key", "sandbox-key-worth", "subject-key-of-a-test")
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens there


class Installation:
    """Settings, keys, broker and ledger in the folder *home*."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.broker_url = f"embedded:///{home / 'broker.sqlite3'}"
        self.patch = patch
        patch.chdir(home)
        self.set("subject_key", "subject-key-of-a-test-installation")
        self.set("broker_url", self.broker_url)
        self.set("ledger_url", f"sqlite:///{home / 'ledger.sqlite3'}")
        self.set("keys_dir", str(home / "keys"))
        self.providers_at(NOWHERE)
        self.desk = Desk(home, self.broker_url)

    def set(self, name: str, value: str) -> None:
        """Set a setting by its variable."""
        self.patch.setenv(f"REVOKER_{name.upper()}", value)

    def setting(self, name: str) -> str:
        """The variable of a setting."""
        return os.environ[f"REVOKER_{name.upper()}"]

    def providers_at(self, base_url: str) -> None:
        """Point the providers at a sandbox."""
        self.set("providers", json.dumps(sandbox_providers(base_url)))

    def run(self, *arguments: str, stdin: str = "", code: int = 0, shows: str = "") -> Result:
        """What `revoker` says to *arguments*; it ends with *code*, tells no secret but the one it *shows*."""
        result = CliRunner().invoke(main, arguments, input=stdin, prog_name="revoker")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        assert not [secret for secret in SECRETS if secret in result.output and secret != shows]
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments: str, stdin: str = "", code: int = 0) -> Any:
        """The one JSON document of `revoker … -o json`."""
        return json.loads(self.run(*arguments, "-o", "json", stdin=stdin, code=code).stdout)


def tell(sandbox: Daemon, what: str, document: object) -> None:
    """Say something at the door of the sandbox: `tokens` that live, `faults` to come."""
    url = f"{sandbox.output.split()[0]}/_sandbox/{what}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(document).encode()), timeout=10) as answer:
        assert answer.status == 201
