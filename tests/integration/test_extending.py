"""The kind of provider and the event type of docs/extending.md go all the way; no line of the product knows them."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import acme
import pytest
from acme_stand_in import AcmeStandIn
from aiohttp.test_utils import TestServer
from celery import Celery, Task
from cli_installation import Installation
from servers import wait_until
from user_compromised import USER_COMPROMISED

from tasks.call import Lane, ProviderCall
from tasks.events import EVENT_TYPES
from tasks.outcome import State
from tasks.providers import KINDS
from tasks.revocations import register, revoke
from tasks.sealing import generate_key, save_key
from worker import broker, recorder
from worker.broker import topology
from worker.broker.messages import body_of
from worker.calls.runtime import WorkerRuntime
from worker.intake import intake
from worker.process import Stop
from worker.sandbox import SandboxConfig, make_app, sandbox_providers
from worker.sandbox.app import STAND_INS
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/extending.md"
USER, WHOM, EVENT_ID = "4711", "ada@example.com", "e-1"


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that the page asks for, in the three lists."""
    monkeypatch.setitem(KINDS, acme.KIND.name, acme.KIND)
    monkeypatch.setitem(STAND_INS, acme.KIND.name, AcmeStandIn)
    monkeypatch.setitem(EVENT_TYPES, USER_COMPROMISED.name, USER_COMPROMISED)


@pytest.fixture
async def acme_sandbox(extended: None) -> AsyncIterator[str]:
    """The base URL of a sandbox that plays Acme as well, where every user is known."""
    del extended
    async with TestServer(make_app(SandboxConfig(auto_issue=True))) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize("event_type", ["user.disabled", USER_COMPROMISED.name])
async def test_a_user_is_out_at_a_kind_that_the_product_does_not_know(
    installation: Installation, acme_sandbox: str, event_type: str
) -> None:
    """Event, plan, call, request, outcome, ledger, `explain`: nothing on the way names a kind or a type."""
    installation.set("providers", json.dumps({"acme": sandbox_providers(acme_sandbox)["acme"]}))
    (installation.home / "keys").mkdir(exist_ok=True)
    save_key(installation.home / "keys", generate_key("k-1"))
    settings = Settings.load()
    with running(intake.run, settings), running(recorder.run, settings):
        await asyncio.to_thread(installation.run, "publish", "--file", "-", stdin=event(event_type))
        call = await asyncio.to_thread(next_call, settings)
        assert (call.operation, call.lane, call.user_id) == (acme.END_SESSIONS, Lane.URGENT, USER)
        assert await made(settings, call) is State.ACCEPTED
        await asyncio.to_thread(wait_recorded, installation)
    explained = await asyncio.to_thread(installation.run, "explain", WHOM)
    assert explained.stdout.splitlines()[-1] == "OUT everywhere"
    [listed] = (await asyncio.to_thread(installation.json, "provider", "list"))["items"]
    assert (listed["operations"], listed["calls_per_minute"]) == ([acme.END_SESSIONS], 600)
    planned = await asyncio.to_thread(installation.json, "plan", "-", stdin=event(event_type))
    assert [each["url"] for each in planned["calls"]] == [f"{acme_sandbox}/acme/users/{USER}/sessions"]


@pytest.mark.usefixtures("extended")
def test_each_operation_of_a_kind_has_its_celery_task() -> None:
    """The worker knows it by the kind alone."""
    app = Celery(set_as_current=False)
    register(app, Task, runtime=lambda: pytest.fail("no task runs here"))
    assert {acme.END_SESSIONS, USER_COMPROMISED.name} <= app.tasks.keys()


@pytest.mark.usefixtures("extended")
def test_a_kind_without_single_sessions_is_asked_for_none(installation: Installation) -> None:
    """`publish session.ended` says so, before anything leaves."""
    installation.providers_at("http://127.0.0.1:9")
    refused = installation.run("publish", "session.ended", "--provider", "acme", stdin="sbx-1\n", code=2)
    assert "acme ends no single session" in refused.output


@pytest.mark.parametrize("module", ["acme.py", "acme_client.py", "acme_stand_in.py", "user_compromised.py"])
def test_the_page_shows_the_code_that_runs_here(module: str) -> None:
    """Each module stands on the page as it is."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert (HERE / module).read_text() in blocks


def event(event_type: str) -> str:
    """A whole event about the user."""
    whole = {"specversion": "1.0", "id": EVENT_ID, "source": "urn:test", "time": datetime.now(UTC).isoformat()}
    who = {"sub_id": {"format": "email", "email": WHOM}, "accounts": {"acme": {"user_id": USER}}}
    return json.dumps({**whole, "type": event_type, "data": who})


@contextmanager
def running(main: Callable[[Settings, Stop], None], settings: Settings) -> Iterator[None]:
    """Run a process's *main* in a thread."""
    stop = Stop()
    thread = threading.Thread(target=main, args=(settings, stop))
    thread.start()
    yield
    stop.set()
    thread.join(10)


def next_call(settings: Settings) -> ProviderCall:
    """Take the call that waits for Acme's worker, once it is there."""
    with broker.connect(settings.broker_url.get_secret_value()) as connection:
        queue = topology.calls_queue("acme", Lane.URGENT)(connection.channel())
        message = wait_until(queue.get, 20, "the call")
        message.ack()
        return ProviderCall.model_validate(json.loads(body_of(message))[0][0])


async def made(settings: Settings, call: ProviderCall) -> State:
    """Make *call* as the worker does; returns what it came to."""
    runtime = WorkerRuntime(settings)
    await runtime.open()
    try:
        return await revoke(runtime, call)
    finally:
        await runtime.close()


def wait_recorded(installation: Installation) -> None:
    """Wait until the ledger knows that the call is settled."""
    rows = installation.desk.ledger.calls_of_event
    wait_until(lambda: any(row.state.is_settled for row in rows(EVENT_ID)), 20, "the outcome to be recorded")
