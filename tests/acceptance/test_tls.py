"""Event to outcome with TLS all the way: RabbitMQ that asks for our certificate, providers of a private authority."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from certificates import Authority
from servers import Processes, RabbitNode, wait_until
from system import PROCESSES, System
from tls_door import HERE, Door, asking, good

from tasks.tls import TlsSettings
from worker import broker
from worker.broker import messages
from worker.broker.publisher import Publisher
from worker.calls.holds import store

pytestmark = pytest.mark.executed


class Revoking:
    """A Finbourne over TLS: 204 to everything, and a list of who asked, by the name in their certificate."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext) -> AsyncIterator[None]:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{anything:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, HERE, 0, ssl_context=context).start()
        self.port = runner.addresses[0][1]
        yield
        wait = partial(
            wait_until, lambda: not (runner.server and runner.server.connections), 10, "the callers to leave"
        )
        await asyncio.to_thread(wait)
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert") or {"subject": [[("commonName", "nobody")]]}
        self.asked.append(shown["subject"][0][0][1])
        return web.Response(status=204)


Stage = tuple[System, Revoking, Door]


def finbourne(port: int, **tls: Path) -> dict[str, Any]:
    """How the worker is told of a provider on *port*."""
    files = {name: str(file) for name, file in tls.items()}
    return {"kind": "finbourne", "base_url": f"https://{HERE}:{port}/identity", "tls": files}


@pytest.fixture
async def stage(
    rabbitmq: RabbitNode,
    rabbitmq_vhost: str,
    tmp_path: Path,
    processes: Processes,
) -> AsyncIterator[Stage]:
    """A system whose broker and two providers speak TLS; of the second nobody trusted vouches for the certificate."""
    authority, provider, key = Authority(tmp_path / "authority"), Revoking(), rabbitmq.client_certificate
    mine = authority.issue("worker")
    stranger = Door(good(Authority(tmp_path / "stranger")))
    async with provider.serving(asking(authority)):
        providers = {
            "finbourne": finbourne(provider.port, ca_file=authority.file, certificate_file=mine, key_file=mine),
            "finbourne-eu": finbourne(stranger.port, ca_file=authority.file),
        }
        tls = {"ca_file": str(rabbitmq.authority), "certificate_file": str(key), "key_file": str(key)}
        settings: dict[str, Any] = {"broker_tls": tls, "providers": providers}
        system = System(tmp_path / "system", rabbitmq.tls_url(rabbitmq_vhost), processes, **settings)
        with stranger:
            yield system, provider, stranger
            system.close()
            processes.close()


def publish(system: System, events: list[dict[str, Any]]) -> list[str]:
    """Publish *events*, with TLS as well; returns their ids."""
    tls = TlsSettings.model_validate(system.document["broker_tls"])
    with Publisher(lambda: broker.connect(system.broker_url, tls)) as publisher:
        publisher.publish_all([messages.event(json.dumps(each).encode(), each["type"]) for each in events])
    return [each["id"] for each in events]


def states(system: System, ids: list[str], provider: str) -> set[str | None]:
    """How far the calls of these events are at *provider*."""
    return {system.states(each).get(provider) for each in ids}


async def test_an_event_becomes_an_outcome_over_tls_alone(stage: Stage, rabbitmq: RabbitNode) -> None:
    """Both sides see our certificate; a provider nobody vouches for sees nothing, is held, and its calls wait."""
    system, provider, stranger = stage
    intake, *_ = system.start()
    await asyncio.to_thread(wait_until, lambda: "consumer.ready" in intake.output, 30, "the queues to be declared")
    both = ("finbourne", "finbourne-eu")
    events = [system.ended(*(system.session(each, str(uuid4())) for each in both)) for _ in range(8)]
    ids = publish(system, events)
    await asyncio.to_thread(wait_until, lambda: states(system, ids, "finbourne") == {"accepted"}, 30, "the calls")
    await asyncio.to_thread(wait_until, lambda: store.standing(system.ledger.database), 30, "the hold")
    [hold] = store.standing(system.ledger.database)
    assert (hold.provider, hold.reason) == ("finbourne-eu", "net.tls")
    assert states(system, ids, "finbourne-eu") <= {"planned", "retrying", "held"}
    assert provider.asked == ["worker"] * len(ids)
    assert stranger.met
    assert stranger.heard == b""
    seen = rabbitmq.connections(system.broker_url.rpartition("/")[2])
    assert len(seen) >= len(PROCESSES) + 1  # the worker has one to consume and one to publish
    assert {(each["ssl"], each["peer_cert_subject"]) for each in seen} == {(True, "CN=client")}
