"""An OpenLDAP server on loopback, with its overlays for password policy and content synchronization."""

import os
import shutil
from pathlib import Path
from typing import Any, Final

import ldap
import ldap.modlist

from servers.daemon import Daemon, ServerMissingError
from servers.ports import free_port
from servers.waiting import wait_until

ADMIN: Final = "cn=admin,dc=example,dc=com"
PASSWORD: Final = "a-password-of-the-directory"
SUFFIX: Final = "dc=example,dc=com"
LOCK: Final = "pwdAccountLockedTime"
LOCKED: Final = b"000001010000Z"

_CONFIG: Final = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
moduleload ppolicy
threads 4
{tls}
database mdb
maxsize 67108864
suffix {suffix}
rootdn {admin}
rootpw {password}
directory {home}/db
dbnosync
index objectClass,entryUUID,entryCSN eq
limits dn.exact="cn=cut,{suffix}" size.soft=3 size.hard=3 size.pr=1000 size.prtotal=3
overlay syncprov
overlay ppolicy
"""


class Entries:
    """What an administrator does in a directory."""

    admin: Any  # a connection of theirs

    def found(self) -> None:
        """Make its first entries."""
        self.add(SUFFIX, objectClass=["dcObject", "organization"], o="Example", dc="example")

    def add(self, dn: str, **values: Any) -> str:
        """Make an entry; returns its DN."""
        self.admin.add_s(dn, ldap.modlist.addModlist({name: _encoded(value) for name, value in values.items()}))
        return dn

    def unit(self, name: str) -> str:
        """Make a unit for people."""
        return self.add(f"ou={name},{SUFFIX}", objectClass="organizationalUnit", ou=name)

    def person(self, unit: str, name: str, **values: str) -> str:
        """Make a person."""
        names = {"uid": name, "cn": name, "sn": name}
        return self.add(f"uid={name},{unit}", objectClass="inetOrgPerson", **names, **values)

    def change(self, dn: str, **values: str | list[str]) -> None:
        """Change attributes."""
        self.admin.modify_s(dn, [(ldap.MOD_REPLACE, name, _encoded(value)) for name, value in values.items()])

    def delete(self, *dns: str) -> None:
        """Delete entries."""
        for dn in dns:
            self.admin.delete_s(dn)


class Slapd(Entries):
    """One in the folder *home*; *certificate*: the file of a key and its certificate, by which it speaks TLS too."""

    def __init__(self, home: Path, certificate: Path | None = None, authority: Path | None = None) -> None:
        (home / "db").mkdir(parents=True)
        self.authority = authority  # whoever trusts it trusts the certificate
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        tls = f"TLSCertificateFile {certificate}\nTLSCertificateKeyFile {certificate}" if certificate else ""
        self._config = home / "slapd.conf"
        self._config.write_text(_CONFIG.format(suffix=SUFFIX, admin=ADMIN, password=PASSWORD, home=home, tls=tls))
        self._urls = self.url + (f" ldaps://127.0.0.1:{self.tls_port}" if certificate else "")
        self._server = Daemon(home, "slapd")

    def start(self) -> "Slapd":
        """Return once it answers."""
        program = shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise ServerMissingError("slapd is not installed: run .ci/install-servers")
        # A copy: at its own path Ubuntu's AppArmor lets it read nothing of a test's.
        command = [str(shutil.copy(program, self._config.parent)), "-h", self._urls, "-f", str(self._config), "-d", "0"]
        self._server.start(command, {"PATH": os.environ["PATH"]})
        wait_until(self._answers, 10.0, "slapd to start")
        return self

    def kill9(self) -> None:
        """End it."""
        self._server.kill9()

    def lock(self, dn: str) -> None:
        """Lock a person, as an administrator does."""
        self.admin.modify_s(dn, [(ldap.MOD_ADD, LOCK, LOCKED)])

    def unlock(self, dn: str) -> None:
        """Let them in again."""
        self.admin.modify_s(dn, [(ldap.MOD_DELETE, LOCK, None)])

    def _answers(self) -> bool:
        if not self._server.running:
            raise ServerMissingError(f"slapd did not start:\n{self._server.tail}")
        try:
            self.admin = ldap.initialize(self.url)
            self.admin.simple_bind_s(ADMIN, PASSWORD)
        except ldap.SERVER_DOWN:
            return False
        return True


def _encoded(value: Any) -> list[bytes]:
    return [each.encode() for each in ([value] if isinstance(value, str) else value)]
