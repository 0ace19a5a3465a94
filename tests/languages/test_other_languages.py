"""The producers in Java and Go, compiled as their readers would, kill a token: `make languages`."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from servers import Processes, wait_until
from system import System, digest

from worker.intake.signing import generate_signing_key, save_signing_key

PRODUCERS = Path(__file__).parents[2] / "examples/producers"
JARS = ("amqp-client", "gson", "slf4j-api")
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
    """Its sealed token and its signature are taken; without a queue for the event it says so."""
    secret = f"sbx-{uuid4()}"
    argv = [*compiled(tmp_path), "jwks.json", "genesys", "sessions.jwk"]
    env = {"PATH": os.environ["PATH"], "BROKER_URL": system.broker_url}
    subprocess.run(argv, cwd=tmp_path, env=env, input=f"{secret}\n", text=True, check=True, timeout=60)
    wait_until(lambda: digest(secret) in system.revoked(), 30, "the token to die")
