"""A private RabbitMQ node: own name, ports, cookie and data, started by pid and gone with the test run."""

import json
import os
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from certificates import Authority
from kombu.utils.url import parse_url

from servers import expressions
from servers.daemon import Daemon, ServerMissingError
from servers.ports import free_port
from servers.waiting import wait_until

_CONTROL = Path(__file__).with_name("control.erl")
_BOOT_SECONDS = 90.0  # 4.5 s on an idle machine
_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
listeners.ssl.1 = 127.0.0.1:{amqps}
ssl_options.cacertfile = {tls}/authority.pem
ssl_options.certfile = {tls}/127.0.0.1.pem
ssl_options.keyfile = {tls}/127.0.0.1.pem
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
disk_free_limit.absolute = 10MB
raft.wal_max_size_bytes = 16777216
"""


@dataclass(frozen=True, slots=True)
class QueueCount:
    """Messages in one queue: waiting, delivered but not acknowledged, on their way to the dead-letter exchange."""

    ready: int
    unacked: int
    dead_lettering: int = 0

    @property
    def total(self) -> int:
        """All messages that the queue still answers for."""
        return self.ready + self.unacked + self.dead_lettering


_nodes: dict[int, "RabbitNode"] = {}  # by port: those that this process knows


def queued_at(url: str) -> dict[str, int]:
    """Return how many messages each queue of a node's virtual host still answers for; queues with none are left out.

    What a consumer holds counts too, which a passive declaration does not tell.
    """
    parts = parse_url(url)
    counts = _nodes[parts["port"]].queue_counts(parts["virtual_host"] or "/")
    return {name: count.total for name, count in counts.items() if count.total}


class RabbitNode:
    """One RabbitMQ node whose whole state is the folder *home*: any process that knows the folder can use it."""

    def __init__(self, home: Path, beside: "RabbitNode | None" = None) -> None:
        """*beside*: the node whose cookie and port mapper it shares, so that it can join its cluster."""
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._programs = _programs()
        self._server = Daemon(home, "rabbitmq")
        self._ports = _ports(home / "ports.json")
        self._cookie: str = beside._cookie if beside else uuid4().hex
        self._epmd: Daemon = beside._epmd if beside else Daemon(home, "epmd")
        if beside:
            self._ports["epmd"] = beside._ports["epmd"]
        _nodes.update(dict.fromkeys((self._ports["amqp"], self._ports["amqps"]), self))

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._server.running

    @property
    def pid(self) -> int:
        """The process id of the Erlang virtual machine."""
        return self._server.pid

    @property
    def port(self) -> int:
        """Its AMQP port on 127.0.0.1; the same after a restart."""
        return self._ports["amqp"]

    @property
    def log(self) -> str:
        """All that the node wrote so far."""
        return self._server.output

    def url(self, vhost: str = "/") -> str:
        """Return the AMQP URL of *vhost*, as guest."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{'' if vhost == '/' else vhost}"

    def tls_url(self, vhost: str = "/") -> str:
        """Return the URL of *vhost*, as guest, on the listener that speaks TLS and wants a client's certificate."""
        return self.url(vhost).replace("amqp:", "amqps:").replace(f":{self.port}/", f":{self._ports['amqps']}/")

    @property
    def authority(self) -> Path:
        """The file of the authority that vouches for the node, and for its clients."""
        return self.home / "tls/authority.pem"

    @property
    def client_certificate(self) -> Path:
        """The file of a client's key and certificate."""
        return self.home / "tls/client.pem"

    def start(self) -> None:
        """Start the node and return when it accepts clients; its data of an earlier run is kept."""
        self._prepare()
        if not self._epmd.running:
            self._epmd.start([_which("epmd"), "-port", str(self._ports["epmd"]), "-address", "127.0.0.1"], os.environ)
        self._server.start([str(self._programs / "rabbitmq-server")], self._environment)
        wait_until(self._answers, _BOOT_SECONDS, "RabbitMQ to start")
        self.control("rabbit:await_startup(node()).")

    def stop(self) -> None:
        """Shut the node down in order; durable queues keep their messages."""
        self._server.stop(timeout=60.0)

    def kill9(self) -> None:
        """Kill the node as a power cut would."""
        self._server.kill9()

    def freeze(self) -> None:
        """Stop the node's clock: connections stay open and nothing answers, until `thaw`."""
        self._server.freeze()

    def thaw(self) -> None:
        """Let a frozen node go on."""
        self._server.thaw()

    def close(self) -> None:
        """End the node and its port mapper for good."""
        for daemon in (self._server, self._epmd):
            if daemon.running:
                daemon.kill9()

    def rabbitmqctl(self, *arguments: str, tool: str = "rabbitmqctl") -> str:
        """Run RabbitMQ's own tool on this node (about 0.4 s) and return what it printed; fails when it fails."""
        command = [str(self._programs / tool), "-n", self.name, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{tool} {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def name(self) -> str:
        """What it is called in its cluster."""
        return str(self._environment["RABBITMQ_NODENAME"])

    def join(self, other: "RabbitNode") -> None:
        """Leave all that it knows, and become a member of the cluster of *other* (about 3 s)."""
        self.rabbitmqctl("stop_app")
        self.rabbitmqctl("join_cluster", other.name)
        self.rabbitmqctl("start_app")

    def control(self, expression: str) -> str:
        """Evaluate an Erlang expression (with its final dot) inside the node, in about a millisecond."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(30.0)
            door.connect(str(self.home / "control"))
            text = expression.encode()
            door.sendall(struct.pack(">I", len(text)) + text)
            answer = _receive(door, struct.unpack(">I", _receive(door, 4))[0]).decode()
        assert answer.startswith("+"), f"the node refused {expression!r}: {answer[1:]}"
        return answer[1:]

    def new_vhost(self) -> str:
        """Make an empty virtual host (about 10 ms) and return its name."""
        vhost = f"test-{uuid4().hex[:12]}"
        self.control(expressions.ADD_VHOST.replace("$VHOST", vhost))
        return vhost

    def add_user(self, name: str, password: str, rights: str = "^$") -> None:
        """Make a user (about 20 ms, `rabbitmqctl add_user` takes 0.8 s of CPU); *rights* is all it may touch in `/`."""
        user = f'rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{password}">>, <<"tests">>)'
        rule = ", ".join(f'<<"{each}">>' for each in (name, "/", rights, rights, rights, "tests"))
        self.control(f"{user}, rabbit_auth_backend_internal:set_permissions({rule}).")

    def delete_vhost(self, vhost: str) -> None:
        """Delete *vhost* with all its queues; its connections are closed."""
        self.control(f'rabbit_vhost:delete(<<"{vhost}">>, <<"tests">>).')

    def queue_counts(self, vhost: str) -> dict[str, QueueCount]:
        """Return the messages of every queue of *vhost*, exact at this moment, quorum queues included."""
        counts: dict[str, list[int]] = json.loads(self.control(expressions.COUNTS.replace("$VHOST", vhost)))
        return {name: QueueCount(*numbers) for name, numbers in counts.items()}

    def members(self, vhost: str) -> dict[str, int]:
        """Return on how many nodes of its cluster each queue of *vhost* is kept."""
        members: dict[str, int] = json.loads(self.control(expressions.MEMBERS.replace("$VHOST", vhost)))
        return members

    def connections(self, vhost: str) -> list[dict[str, Any]]:
        """Return of every connection to *vhost* `ssl`, `ssl_protocol` and `peer_cert_subject`."""
        found: list[dict[str, Any]] = json.loads(self.control(expressions.CONNECTIONS.replace("$VHOST", vhost)))
        return found

    def raise_memory_alarm(self) -> None:
        """Block every publisher, as a node short of memory does. Only on a private node."""
        self.control("vm_memory_monitor:set_vm_memory_high_watermark(0).")
        wait_until(lambda: self.control("rabbit_alarm:get_alarms().") != "[]", 10, "the alarm to be in force")

    def clear_memory_alarm(self) -> None:
        """Let publishers go on."""
        self.control("vm_memory_monitor:set_vm_memory_high_watermark(0.4).")

    def _answers(self) -> bool:
        if not self.running:
            raise ServerMissingError(f"RabbitMQ did not start:\n{self._server.tail}")
        try:
            return self.control("rabbit:is_running().") == "true"
        except OSError:
            return False  # the door opens at the end of the boot

    def _prepare(self) -> None:
        tls = self.home / "tls"
        (self.home / "rabbitmq.conf").write_text(_CONFIGURATION.format(**self._ports, tls=tls))
        if not tls.exists():
            authority = Authority(tls)
            for name in ("127.0.0.1", "client"):
                authority.issue(name)
        (self.home / "control").unlink(missing_ok=True)
        cookie = self.home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(self._cookie)
            cookie.chmod(0o400)

    @property
    def _environment(self) -> dict[str, Any]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "CONTROL_SCRIPT": str(_CONTROL),
            "CONTROL_SOCKET": str(self.home / "control"),
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._ports["dist"]),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            # A long name: 127.0.0.1 needs no resolver, "localhost" needs /etc/hosts.
            "RABBITMQ_NODENAME": f"test-{self.port}@127.0.0.1",
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                '-eval file:script(os:getenv("CONTROL_SCRIPT"))'
                " -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "RUNNING_UNDER_SYSTEMD": "true",  # the script then becomes the server: one process, its pid is ours
        }


def _programs() -> Path:
    """Where RabbitMQ's own scripts are: Debian's wrappers in /usr/sbin change the user and are not wanted."""
    debian = Path("/usr/lib/rabbitmq/bin")
    return debian if debian.is_dir() else Path(_which("rabbitmq-server")).resolve().parent


def _which(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ServerMissingError(f"{program} is not installed: run .ci/install-servers (package rabbitmq-server)")
    return found


def _ports(remembered: Path) -> dict[str, int]:
    if not remembered.exists():
        remembered.write_text(json.dumps({name: free_port() for name in ("amqp", "amqps", "dist", "epmd")}))
    ports: dict[str, int] = json.loads(remembered.read_text())
    return ports


def _receive(door: socket.socket, size: int) -> bytes:
    data = door.recv(size, socket.MSG_WAITALL)
    if len(data) != size:
        raise ConnectionResetError("the node hung up")
    return data
