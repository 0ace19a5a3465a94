"""The producers in Java and Go, compiled as their readers would, kill a token: `make languages`."""

import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from certificates import Authority
from servers import Processes, wait_until
from system import System, digest

from tasks.sealing import generate_key, public_jwks
from worker.intake.signing import generate_signing_key, save_signing_key

PRODUCERS = Path(__file__).parents[2] / "examples/producers"
JARS = ("amqp-client", "gson", "slf4j-api")
STORE_PASSWORD = "changeit"  # of the file of authorities that Java is given
Argv = list[str]


@pytest.fixture
def system(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A running system on RabbitMQ, with an RSA key beside the other one."""
    key = generate_signing_key("sessions")
    save_signing_key(tmp_path / "sessions.jwk", key)
    (tmp_path / "sessions.jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    source = {"source": "urn:example:session-timeout-job", "keys": str(tmp_path / "sessions.jwks.json")}
    made = System(tmp_path / "system", rabbitmq_url, processes, sources={"sessions": source})
    made.revoker("keys", "generate", "--algorithm", "RSA-OAEP-256", "--kid", "rsa")
    (tmp_path / "jwks.json").write_text(made.revoker("keys", "export").stdout)
    intake, *_ = made.start()
    wait_until(lambda: "consumer.ready" in intake.output, 30, "the queues to be declared")
    yield made
    made.close()


def compiled_go(folder: Path) -> Argv:
    """Compile the program with Debian's library; return how it is run."""
    source = str(PRODUCERS / "go/end_session.go")
    env = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder / "cache"), "HOME": str(folder)}
    argv = ["go", "build", "-o", str(folder / "end_session"), source]
    subprocess.run(argv, env={"PATH": os.environ["PATH"], **env}, check=True, timeout=300)
    return [str(folder / "end_session")]


def compiled_java(folder: Path) -> Argv:
    """Compile the program with Debian's libraries; return how it is run."""
    path = ":".join([str(folder), *(f"/usr/share/java/{jar}.jar" for jar in JARS)])
    argv = ["javac", "-Werror", "-Xlint:all", "-cp", path, "-d", str(folder), str(PRODUCERS / "java/EndSession.java")]
    subprocess.run(argv, check=True, timeout=300)
    return ["java", "-cp", path, "EndSession"]


@pytest.mark.parametrize("compiled", [compiled_go, compiled_java])
@pytest.mark.timeout(600)
def test_a_producer_in_another_language_kills_a_token(
    system: System, tmp_path: Path, compiled: Callable[[Path], Argv]
) -> None:
    """Its sealed token and its signature are taken."""
    secret = f"sbx-{uuid4()}"
    argv = [*compiled(tmp_path), "jwks.json", "genesys", "sessions.jwk"]
    env = {"PATH": os.environ["PATH"], "BROKER_URL": system.broker_url}
    subprocess.run(argv, cwd=tmp_path, env=env, input=f"{secret}\n", text=True, check=True, timeout=60)
    wait_until(lambda: digest(secret) in system.revoked(), 30, "the token to die")


class Listener:
    """A server at 127.0.0.1, and no broker: it notes the first bytes of each client that accepts its certificate."""

    def __init__(self, certificate: Path) -> None:
        self.heard: list[bytes] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client, suppress(OSError), self._tls.wrap_socket(client, server_side=True) as connection:
                self.heard.append(connection.recv(4))

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    """One whose certificate names the address 127.0.0.1, by an authority that the programs are told to trust."""
    authority = Authority(tmp_path / "authority")
    made = Listener(authority.issue("127.0.0.1"))
    store = ["-storepass", STORE_PASSWORD, "-keystore", str(tmp_path / "trusted")]
    argv = ["keytool", "-importcert", "-noprompt", "-file", str(tmp_path / "authority/authority.pem"), *store]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    yield made
    made.close()


@pytest.mark.parametrize("compiled", [compiled_go, compiled_java])
@pytest.mark.timeout(600)
def test_a_broker_whose_certificate_names_another_host_hears_nothing(
    listener: Listener, tmp_path: Path, compiled: Callable[[Path], Argv]
) -> None:
    """Not every library checks the name by itself; under its own name the same server is spoken to."""
    save_signing_key(tmp_path / "sessions.jwk", generate_signing_key("sessions"))
    (tmp_path / "jwks.json").write_text(json.dumps(public_jwks([generate_key("rsa", "RSA-OAEP-256")])))
    argv = [*compiled(tmp_path), "jwks.json", "genesys", "sessions.jwk"]
    trusted = f"-Djavax.net.ssl.trustStore={tmp_path}/trusted -Djavax.net.ssl.trustStorePassword={STORE_PASSWORD}"
    env = {"SSL_CERT_FILE": str(tmp_path / "authority/authority.pem"), "JAVA_TOOL_OPTIONS": trusted}
    for host, heard in (("localhost", []), ("127.0.0.1", [b"AMQP"])):
        url = {"PATH": os.environ["PATH"], "BROKER_URL": f"amqps://guest:guest@{host}:{listener.port}/"}
        done = subprocess.run(argv, cwd=tmp_path, env=env | url, input="token\n", text=True, check=False, timeout=60)
        assert done.returncode != 0
        assert listener.heard == heard
