"""A whole installation that follows a directory."""

import json
from pathlib import Path
from typing import Any, Final

from door_peer import ISSUER
from servers import Daemon, Processes, wait_until
from servers.slapd import ADMIN, PASSWORD
from system import System

SOURCE: Final = "https://directory.example.com"


def directory(home: Path, url: str, base: str, **settings: Any) -> dict[str, Any]:
    """The settings of a door to the directory at *url*, whose password is written into *home*."""
    secret = home / "directory-password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    bind = {"bind_dn": ADMIN, "bind_password_file": str(secret)}
    named = {"subject_attribute": "employeeNumber", "subject_issuer": ISSUER}
    return {"kind": "ldap", "server": "openldap", "url": url, "base": base, **bind, **named, **settings}


class Followed:
    """An installation with the door `corp`."""

    def __init__(self, home: Path, processes: Processes, door: dict[str, Any]) -> None:
        types = ["user.disabled", "user.enabled"]
        sources = {"corp": {"source": SOURCE, "doors": ["corp"], "types": types}}
        url = f"embedded:///{home / 'system' / 'broker.sqlite3'}"
        self.system = System(home / "system", url, processes, sources=sources, doors={"corp": door})
        self.system.env["REVOKER_PROVIDERS__GENESYS__SUBJECT_ISSUER"] = ISSUER
        self._processes = processes

    def follow(self, people: int, **variables: str) -> Daemon:
        """Start the process; returns once it knows so many people."""
        env = self.system.shown("ldap", **variables)
        process = self._processes.start("revoker", "ldap", env=env, name="ldap")
        wait_until(lambda: self.listed().get("people") == people, 30, f"{people} people to be known")
        return process

    def listed(self) -> dict[str, Any]:
        """What an operator is told of the directory."""
        [found] = json.loads(self.system.revoker("ldap", "list", "-o", "json").stdout)["items"]
        return dict(found)

    def out(self) -> set[str]:
        """The users that Genesys let go."""
        return set(self.system.dead()["genesys"])
