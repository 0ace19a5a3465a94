"""A 389 Directory Server on loopback, in a folder of its own, with its plugin for content synchronization."""

import grp
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import ldap

from servers.daemon import Daemon, ServerMissingError
from servers.ports import free_port
from servers.slapd import PASSWORD, SUFFIX, Entries
from servers.waiting import wait_until

ADMIN: Final = "cn=Directory Manager"
LOCK: Final = "nsAccountLock"
_DEFAULTS: Final = Path("/usr/share/dirsrv/inf/defaults.inf")
_INSTANCE: Final = """[general]
config_version = 2
full_machine_name = localhost.localdomain
strict_host_checking = False
selinux = False
systemd = False
[slapd]
instance_name = test
root_password = {password}
port = {port}
self_sign_cert = False
user = {user}
group = {group}
[backend-userroot]
sample_entries = no
suffix = {suffix}
create_suffix_entry = True
"""


class Ds389(Entries):
    """One in the folder *home*, which `dscreate` makes as for a prefix of its own: it touches nothing of the system."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        self._server = Daemon(home.parent, "ns-slapd")
        self._env = {"PATH": f"{os.environ['PATH']}:/usr/sbin", "PREFIX": str(home)}

    def start(self) -> "Ds389":
        """Return once it answers, and tells of changes."""
        self._create()
        self.admin = self._bound()
        self._enable("Content Synchronization")
        self._enable("Retro Changelog Plugin", ("nsslapd-attribute", "nsuniqueid:targetUniqueId"))
        self._stop()
        own = ("-i", str(self.home / "pid"))  # without it the server takes /dev/null for that file, and makes it 0644
        command = ["/usr/sbin/ns-slapd", "-D", str(self.home / "etc/dirsrv/slapd-test"), *own, "-d", "0"]
        self._server.start(command, self._env)
        wait_until(self._answers, 30, "389 DS to start")
        return self

    def kill9(self) -> None:
        """End it."""
        self._server.kill9()

    def lock(self, dn: str) -> None:
        """Lock a person."""
        self.change(dn, **{LOCK: "true"})

    def unlock(self, dn: str) -> None:
        """Let them in again."""
        self.admin.modify_s(dn, [(ldap.MOD_DELETE, LOCK, None)])

    def _create(self) -> None:
        if shutil.which("dscreate", path=self._env["PATH"]) is None:
            raise ServerMissingError("389-ds-base is not installed: run .ci/install-servers conformance")
        for folder in ("share/dirsrv/inf", "etc/dirsrv", "etc/default", "run/dirsrv", "var", "shm"):
            (self.home / folder).mkdir(parents=True)
        for folder in ("schema", "config"):
            shutil.copytree(Path("/etc/dirsrv") / folder, self.home / "etc/dirsrv" / folder)
        who = {"user": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
        (self.home / "share/dirsrv/inf/defaults.inf").write_text(self._defaults(**who))
        instance = self.home / "instance.inf"
        instance.write_text(_INSTANCE.format(password=PASSWORD, port=self.port, suffix=SUFFIX, **who))
        command = ["dscreate", "from-file", str(instance)]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerMissingError(f"dscreate failed:\n{done.stdout}{done.stderr}")

    def _defaults(self, user: str, group: str) -> str:
        """Those of the system, with every folder that is written below our own."""
        mine = {"with_systemd": "0", "prefix": self.home, "tmp_dir": self.home, "inst_dir": self.home / "inst"}
        text = re.sub(r"= (/etc|/run|/var|/dev/shm)\b", lambda each: f"= {self.home}{each[1]}", _DEFAULTS.read_text())
        for name, value in {**mine, "user": user, "group": group}.items():
            text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        return text

    def _enable(self, plugin: str, *attributes: tuple[str, str]) -> None:
        changes = [(ldap.MOD_REPLACE, "nsslapd-pluginEnabled", [b"on"])]
        changes += [(ldap.MOD_ADD, name, [value.encode()]) for name, value in attributes]
        self.admin.modify_s(f"cn={plugin},cn=plugins,cn=config", changes)

    def _stop(self) -> None:
        """End the one that dscreate has started, which is nobody's child."""
        command = ["dsctl", "test", "stop"]
        subprocess.run(command, env=self._env, capture_output=True, check=True)

    def _answers(self) -> bool:
        if not self._server.running:
            raise ServerMissingError(f"389 DS did not start:\n{self._server.tail}")
        try:
            self.admin = self._bound()
        except ldap.SERVER_DOWN:
            return False
        return True

    def _bound(self) -> Any:
        connection = ldap.initialize(self.url)
        connection.simple_bind_s(ADMIN, PASSWORD)
        return connection
