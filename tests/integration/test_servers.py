"""The servers behind the tests are real, fresh for each test, and gone afterwards."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from kombu.connection import Connection
from kombu.entity import Queue
from servers import NetworkIsOffError, Processes, QueueCount, RabbitNode, eventually, free_port, wait_until
from servers.daemon import is_alive
from servers.ports import PORTS

QUORUM = {"x-queue-type": "quorum"}
KILLED_RUN = """
import os, pathlib, signal, sys
from servers import Processes
Processes(pathlib.Path(sys.argv[1])).start("sleep", "600")
os.kill(os.getpid(), signal.SIGKILL)
"""


def _publish(url: str, name: str, count: int) -> None:
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        queue = Queue(name, routing_key=name, queue_arguments=QUORUM)
        producer = connection.Producer()
        for number in range(count):
            producer.publish(number, routing_key=name, declare=[queue])


def test_a_quorum_queue_keeps_what_was_published(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> None:
    """The counts come from the queue itself, so they are right at once."""
    _publish(rabbitmq.url(rabbitmq_vhost), "calls", count=3)
    assert rabbitmq.queue_counts(rabbitmq_vhost) == {"calls": QueueCount(ready=3, unacked=0)}


def test_a_delivered_message_counts_as_unacked(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> None:
    """What a consumer holds is neither ready nor gone."""
    url = rabbitmq.url(rabbitmq_vhost)
    _publish(url, "calls", count=2)
    with Connection(url) as connection:
        queue = Queue("calls", queue_arguments=QUORUM, channel=connection.channel())
        assert queue.get() is not None
        assert rabbitmq.queue_counts(rabbitmq_vhost)["calls"] == QueueCount(ready=1, unacked=1)


@pytest.mark.parametrize("turn", [1, 2])
def test_a_virtual_host_is_fresh(rabbitmq: RabbitNode, rabbitmq_vhost: str, turn: int) -> None:
    """No test meets the queues of another."""
    assert rabbitmq.queue_counts(rabbitmq_vhost) == {}
    _publish(rabbitmq.url(rabbitmq_vhost), f"calls-{turn}", count=1)


def test_a_virtual_host_costs_next_to_nothing(rabbitmq: RabbitNode) -> None:
    """A fresh broker per test is affordable only when it takes milliseconds."""
    started = time.monotonic()
    for vhost in [rabbitmq.new_vhost() for _ in range(5)]:
        rabbitmq.delete_vhost(vhost)
    assert time.monotonic() - started < 5.0


def test_rabbitmqctl_reaches_the_node(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> None:
    """An operator's own tool sees what the test sees."""
    assert rabbitmq_vhost in rabbitmq.rabbitmqctl("list_vhosts", "--quiet").splitlines()


def test_messages_survive_a_stop_and_a_kill(private_rabbitmq: RabbitNode) -> None:
    """A private node keeps its port and its data, however it went down."""
    _publish(private_rabbitmq.url(), "calls", count=2)
    private_rabbitmq.stop()
    private_rabbitmq.start()
    private_rabbitmq.kill9()
    assert not private_rabbitmq.running
    private_rabbitmq.start()
    wait_until(lambda: private_rabbitmq.queue_counts("/")["calls"].ready == 2, what="both messages")


def test_a_memory_alarm_blocks_publishers_until_it_is_cleared(private_rabbitmq: RabbitNode) -> None:
    """The alarm is the node's own, as clients meet it."""
    private_rabbitmq.raise_memory_alarm()
    assert "memory" in private_rabbitmq.control("rabbit_alarm:get_alarms().")
    private_rabbitmq.clear_memory_alarm()
    assert private_rabbitmq.control("rabbit_alarm:get_alarms().") == "[]"


def test_a_frozen_node_answers_nobody_until_it_is_thawed(private_rabbitmq: RabbitNode) -> None:
    """As a paused machine does: the port takes connections, and nothing comes back."""
    private_rabbitmq.freeze()
    with Connection(private_rabbitmq.url(), connect_timeout=1) as connection, pytest.raises(TimeoutError):
        connection.connect()
    private_rabbitmq.thaw()
    _publish(private_rabbitmq.url(), "calls", count=1)
    assert private_rabbitmq.queue_counts("/")["calls"].ready == 1


@pytest.mark.parametrize("turn", [1, 2])
def test_a_postgres_database_is_fresh(postgres_url: str, turn: int) -> None:
    """Every test has a database to itself and may create what it likes."""
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE ledger (id integer)")
        assert connection.execute(b"SELECT %d + count(*) FROM ledger" % turn).fetchone() == (turn,)


def test_the_broker_url_names_an_empty_broker(broker_url: str, tmp_path: Path) -> None:
    """One on disk, one on RabbitMQ."""
    assert broker_url.startswith((f"embedded:///{tmp_path}", "amqp://guest:guest@127.0.0.1:"))


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 443)])
def test_the_network_is_off(address: tuple[str, int]) -> None:
    """A test that reaches for another host fails at once (192.0.2.0/24 is reserved for documentation, RFC 5737)."""
    with socket.socket() as outside, pytest.raises(NetworkIsOffError):
        outside.connect(address)


def test_loopback_stays_open() -> None:
    """Real servers on this machine are what the tests use."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as client:
        assert client.getpeername() == ("127.0.0.1", port)


def test_a_port_is_given_once(processes: Processes) -> None:
    """Not to this process again, nor to another one while this lives: servers that start meanwhile would collide."""
    few = PORTS[:20]
    ours = {free_port(few), free_port(few)}
    code = f"from servers.ports import free_port\nwhile True: print(free_port({few!r}))"
    other = processes.start("python", "-c", code, env={"PYTHONPATH": str(Path(__file__).parents[1])})
    other.wait()
    theirs = re.findall(r"^\d+$", other.output, re.MULTILINE)
    assert f"no free port from {few[0]} to {few[-1]}" in other.output
    assert len(ours | {int(port) for port in theirs}) == 2 + len(theirs) > 2


def test_a_process_says_what_it_did(processes: Processes) -> None:
    """Its variables, its output and its exit code are the test's to see."""
    code = "import os; print(os.environ['PLANTED']); raise SystemExit(3)"
    process = processes.start("python", "-c", code, env={"PLANTED": "seen"})
    assert process.wait() == 3
    assert process.output == "seen\n"


async def test_a_signal_ends_a_process(processes: Processes) -> None:
    """The exit code names the signal."""
    process = processes.start("sleep", "600")
    process.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell started in the background

    async def ended() -> bool:
        return not process.running

    assert await eventually(ended)
    assert process.wait() == -signal.SIGTERM


def test_no_process_outlives_its_test(tmp_path: Path) -> None:
    """What a process started ends with it."""
    running = Processes(tmp_path)
    parent = running.start("sh", "-c", "sleep 600 & echo $!; wait")
    child = int(wait_until(lambda: parent.output, what="the child's pid"))
    running.close()
    wait_until(lambda: not is_alive(child), what=f"{child} to end")
    assert not parent.running


def test_a_process_that_ends_while_it_is_looked_at_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file in /proc can be opened and no longer be read: ESRCH, where a file that is gone is ENOENT."""
    with subprocess.Popen(["sleep", "600"]) as sleeping:

        def late(path: Path) -> str:
            with path.open() as file:
                sleeping.kill()
                sleeping.wait()
                return file.read()

        monkeypatch.setattr(Path, "read_text", late)
        assert not is_alive(sleeping.pid)


def test_a_server_dies_with_the_test_run(tmp_path: Path) -> None:
    """Even when the run itself was killed and could clean nothing up."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", KILLED_RUN, tmp_path], env=environment, check=False)
    assert run.returncode == -signal.SIGKILL
    orphan = int((tmp_path / "0-sleep.pid").read_text().split()[0])
    wait_until(lambda: not is_alive(orphan), what="the orphan to end")
