"""The producers' examples of the documents run as their readers would run them, and kill a token."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from documents import ROOT, blocks, section
from in_one_test import in_one_test
from npm_packages import install
from servers import Processes, wait_until
from system import System, digest

from tasks.sealing import generate_key, public_jwks
from worker import broker
from worker.broker import messages, topology
from worker.broker.messages import body_of
from worker.intake.signing import generate_signing_key, is_signed, save_signing_key

pytestmark = pytest.mark.executed


KEY, KEY_FILE = generate_signing_key("sessions"), "sessions.jwk"


@pytest.fixture
def system(rabbitmq_url: str, tmp_path: Path, processes: Processes) -> Iterator[System]:
    """A running system on RabbitMQ, which is where producers in other programs are."""
    save_signing_key(tmp_path / KEY_FILE, KEY)
    (tmp_path / "sessions.jwks.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    signing = {"source": "urn:example:session-timeout-job", "keys": str(tmp_path / "sessions.jwks.json")}
    made = System(tmp_path / "system", rabbitmq_url, processes, sources={"sessions": signing})
    intake, *_ = made.start()
    wait_until(lambda: "consumer.ready" in intake.output, 30, "the queues to be declared")
    yield made
    made.close()


def run_example(heading: str, given: str, folder: Path, broker_url: str, *arguments: str) -> None:
    """Run the Python program below *heading* as its reader would, *given* on its stdin."""
    [code] = blocks("python", section(heading))
    program = folder / "example.py"
    program.write_text(code)
    environment = {"PATH": os.environ["PATH"], "BROKER_URL": broker_url}
    argv = [sys.executable, str(program), *arguments]
    subprocess.run(argv, input=given, cwd=folder, env=environment, text=True, timeout=60, check=True)


def by_python(system: System, folder: Path, secret: str) -> None:
    """The Python program, with the public keys in a file."""
    arguments = (str(folder / "jwks.json"), "genesys", KEY_FILE)
    run_example("A producer in Python", f"{secret}\n", folder, system.broker_url, *arguments)


def by_node(system: System, folder: Path, secret: str) -> None:
    """The same in Node.js, with the packages that its first line names."""
    [program, module] = blocks("js", section("The same in Node.js"))
    (folder / "end_session.mjs").write_text(program)
    (folder / "sign.mjs").write_text(module)
    install(ROOT / "examples/session-timeout-job-node/package-lock.json", folder)
    node = ["node", "end_session.mjs", "jwks.json", "genesys", KEY_FILE]
    environment = {"PATH": os.environ["PATH"], "BROKER_URL": system.broker_url}
    subprocess.run(node, input=secret, cwd=folder, env=environment, text=True, timeout=60, check=True)


def through_the_door(system: System, folder: Path, secret: str) -> None:
    """The same event as a Celery task."""
    event = system.ended(system.session("finbourne", secret))
    run_example("The trusted Celery door", json.dumps(event), folder, system.broker_url)


@in_one_test
@pytest.mark.parametrize("publish", [by_python, by_node, through_the_door], ids=lambda publish: publish.__name__)
def test_the_programs_of_the_documents_kill_a_token(
    system: System, tmp_path: Path, publish: Callable[[System, Path, str], None]
) -> None:
    """The example, a real broker, the real worker: the provider's own journal says that the token died."""
    secret = f"sbx-{uuid4()}"
    (tmp_path / "jwks.json").write_text(system.revoker("keys", "export").stdout)
    publish(system, tmp_path, secret)
    wait_until(lambda: digest(secret) in system.revoked(), 30, "the token to die")


def test_the_python_producer_reaches_the_embedded_broker(tmp_path: Path) -> None:
    """Beside this package, on the same machine: the event lies signed in the queue of events."""
    url, jwks = f"embedded:///{tmp_path / 'broker.sqlite3'}", tmp_path / "jwks.json"
    jwks.write_text(json.dumps(public_jwks([generate_key("k")])))
    save_signing_key(tmp_path / KEY_FILE, KEY)
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
        run_example("A producer in Python", "sbx-token\n", tmp_path, url, str(jwks), "genesys", KEY_FILE)
        queue = topology.INTAKE.bind(connection.channel())
        message = wait_until(queue.get, 10, "the event to lie in the queue")
        assert is_signed(body_of(message), message.headers[messages.SIGNATURE], {"sessions": KEY})
        assert json.loads(body_of(message))["type"] == "session.ended"


def test_the_signature_made_in_node_is_one(tmp_path: Path) -> None:
    """The module with nothing but Node.js's own library, on bytes that JSON writers differ about."""
    [_, module] = blocks("js", section("The same in Node.js"))
    (tmp_path / "sign.mjs").write_text(module)
    save_signing_key(tmp_path / KEY_FILE, KEY)
    program = """import { readFileSync } from "node:fs"; import { sign } from "./sign.mjs";
        process.stdout.write(sign(readFileSync(0), JSON.parse(readFileSync("sessions.jwk"))));"""
    body = '{"id": "é\u2028\\u00e9", "n":1.0}\n'.encode()
    node = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(node, input=body, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert is_signed(body, done.stdout.decode(), {"sessions": KEY})
