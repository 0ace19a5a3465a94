"""TLS to the broker: whoever is not it hears no byte of AMQP; the real one is reached with TLS and a certificate."""

from pathlib import Path

import pytest
from certificates import Authority
from servers import RabbitNode
from tls_door import HERE, WRONG, Door, asking, good, outdated, speaks_tls_1_1

from tasks.tls import TlsSettings
from worker import broker
from worker.broker import topology
from worker.broker.messages import event
from worker.broker.publication import BROKER_ERRORS
from worker.broker.publisher import Publisher

PASSWORD = "planted-broker-password"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of the test's own."""
    return Authority(tmp_path / "authority")


def refusal(port: int, tls: TlsSettings) -> str:
    """What a connection fails with."""
    with broker.connect(f"amqps://worker:{PASSWORD}@{HERE}:{port}//", tls) as connection:
        with pytest.raises(BROKER_ERRORS) as refused:
            connection.transport.establish_connection()
        return f"{type(refused.value).__name__}: {refused.value}"


@pytest.mark.parametrize("wrong", WRONG)
def test_whoever_is_not_the_broker_hears_nothing(authority: Authority, wrong: str) -> None:
    """Not a byte of the protocol, let alone the password, which the refusal does not tell either."""
    with Door(WRONG[wrong](authority)) as door:
        told = refusal(door.port, TlsSettings(ca_file=authority.file))
    assert door.met == 1
    assert door.heard == b""
    assert PASSWORD not in told


@pytest.mark.parametrize("right", [good, asking])
def test_the_broker_hears_the_protocol_begin(authority: Authority, right: object) -> None:
    """With our certificate where it asks for one. So what the others did not hear would have been heard."""
    mine = authority.issue("worker")
    assert callable(right)
    with Door(right(authority)) as door:
        refusal(door.port, TlsSettings(ca_file=authority.file, certificate_file=mine, key_file=mine))
    assert door.heard == b"AMQP\x00\x00\x09\x01"


def test_the_systems_authorities_are_trusted_where_no_others_are_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where some are named, only those."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with Door(good(authority)) as trusted, Door(good(authority)) as strange:
        refusal(trusted.port, TlsSettings())
        refusal(strange.port, TlsSettings(ca_file=Authority(authority.file.parent / "another").file))
    assert (bytes(trusted.heard[:4]), bytes(strange.heard)) == (b"AMQP", b"")


def test_the_outdated_server_is_one_a_careless_client_talks_to(authority: Authority) -> None:
    """It is our minimum that refuses it, not its own fault."""
    with Door(outdated(authority)) as door:
        assert speaks_tls_1_1(door.port, authority.file)


@pytest.fixture
def ours(rabbitmq: RabbitNode) -> TlsSettings:
    """What RabbitMQ's TLS listener accepts."""
    mine = rabbitmq.client_certificate
    return TlsSettings(ca_file=rabbitmq.authority, certificate_file=mine, key_file=mine)


def test_rabbitmq_takes_a_confirmed_publish_over_tls(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, ours: TlsSettings
) -> None:
    """More of it than fits a TLS record; the node itself says which protocol, and whose certificate it saw."""
    url = rabbitmq.tls_url(rabbitmq_vhost)
    with broker.connect(url, ours) as connection:
        topology.declare(connection, ["genesys"])
        with Publisher(lambda: broker.connect(url, ours)) as publisher:
            publisher.publish_all([event(b"{}" + b" " * 60_000, "session.ended")] * 20)
            seen = rabbitmq.connections(rabbitmq_vhost)
    assert seen == [{"ssl": True, "ssl_protocol": "tlsv1.3", "peer_cert_subject": "CN=client"}] * 2
    assert rabbitmq.queue_counts(rabbitmq_vhost)["revocation.intake"].ready == 20


def test_rabbitmq_takes_nobody_without_a_certificate(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> None:
    """It asks for one, and hangs up on whoever has none."""
    with broker.connect(rabbitmq.tls_url(rabbitmq_vhost), TlsSettings(ca_file=rabbitmq.authority)) as connection:
        with pytest.raises(BROKER_ERRORS):
            connection.transport.establish_connection()
        assert rabbitmq.connections(rabbitmq_vhost) == []
