"""A call on its way through the worker's runtime: covered, put back, or made in its turn."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_installation import Installation
from provider_calls import session_call

from tasks.call import Lane, ProviderCall
from tasks.outcome import Outcome, Permanent, Reason, Settled, State
from tasks.runtime import Held
from tasks.sealing import generate_key, save_key
from worker.calls import coverage
from worker.calls.rate_limits import Limit, Limiter
from worker.calls.rate_limits.wait_queue import HELD_FOR_SOURCE
from worker.calls.rate_limits.window import Ask, Grant
from worker.calls.runtime import WorkerRuntime
from worker.ledger.enabled import EnabledRow
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]

DONE = Settled(State.ACCEPTED, "204")


class Provider:
    """Answers when it is told to, and remembers which calls were made."""

    def __init__(self) -> None:
        self.outcome: Outcome = DONE
        self.asked: list[str] = []
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def execute(self, call: ProviderCall) -> Outcome:
        """As a provider does."""
        self.asked.append(call.call_id)
        self.is_asked.set()
        await self.may_answer.wait()
        return self.outcome


class Providers(dict[str, Provider]):
    """The one provider under every name."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(genesys=provider)


@pytest.fixture
def provider() -> Provider:
    """It succeeds at once until told otherwise."""
    return Provider()


@pytest.fixture
def runtime(installation: Installation, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> WorkerRuntime:
    """A worker's, whose calls reach *provider*."""
    (installation.home / "keys").mkdir()
    save_key(installation.home / "keys", generate_key("k-1"))
    made = WorkerRuntime(Settings.load())
    monkeypatch.setattr(made, "_providers", Providers(provider))
    return made


def disabled(call_id: str, **members: Any) -> ProviderCall:
    """A call for the one user, planned a second ago."""
    earlier = datetime.now(UTC) - timedelta(seconds=1)
    usual = {"operation": "genesys.delete_token", "lane": Lane.URGENT, "user_id": "u-1"}
    times = {"occurred_at": earlier, "planned_at": earlier}
    return session_call(call_id, "genesys", **{"call_id": call_id, **usual, **times, **members})


async def test_what_is_told_thrice_of_a_user_is_asked_twice(
    runtime: WorkerRuntime, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited in the queue when a call was sent finds it done; a call that was sent before they came is no proof."""
    provider.may_answer.clear()
    first = asyncio.ensure_future(runtime.execute(disabled("first")))
    await provider.is_asked.wait()
    assert isinstance(await runtime.execute(disabled("second")), Held)
    assert isinstance(await runtime.execute(disabled("third")), Held)
    monkeypatch.setattr(coverage, "MAX_DELAY", 0)
    provider.may_answer.set()
    assert await first == DONE
    assert await runtime.execute(disabled("second")) == DONE
    verdict = await runtime.execute(disabled("third"))
    assert isinstance(verdict, Settled)
    assert (verdict.state, verdict.detail[coverage.COVERED_BY]) == (State.COVERED, "second")
    assert provider.asked == ["first", "second"]


async def test_what_was_planned_while_a_call_was_under_way_is_asked_again(
    runtime: WorkerRuntime, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user may have signed in after that call was sent, however late its answer came."""
    monkeypatch.setattr(coverage, "MAX_DELAY", 0)
    provider.may_answer.clear()
    first = asyncio.ensure_future(runtime.execute(disabled("first")))
    await provider.is_asked.wait()
    later = disabled("later", planned_at=datetime.now(UTC))
    provider.may_answer.set()
    assert await first == DONE
    assert await runtime.execute(later) == DONE
    assert provider.asked == ["first", "later"]


async def test_an_unknown_user_covers_nobody(
    runtime: WorkerRuntime, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the calls comes to its own 404."""
    monkeypatch.setattr(coverage, "MAX_DELAY", 0)
    provider.outcome = Permanent(Reason.PROVIDER_NOT_FOUND)
    assert [await runtime.execute(disabled(each)) for each in "ab"] == [provider.outcome] * 2


async def test_a_source_beyond_its_share_of_the_line_is_put_back(
    runtime: WorkerRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls come again later, and one of another source takes its place in the line, and the next permit."""

    async def nothing(_: Ask) -> Grant:
        return Grant(0, 1, 60.0)

    limiter = Limiter("genesys", Limit(300), "w", nothing, 0)
    monkeypatch.setattr(runtime._limits, "of", lambda _: limiter)
    calls = [disabled(f"feed-{number}", user_id=f"u-{number}", source="urn:feed") for number in range(30)]
    feed = [asyncio.ensure_future(runtime.execute(each)) for each in calls[:1]]
    async with asyncio.timeout(10):
        while Lane.URGENT not in limiter._dry:  # noqa: ASYNC110 - polled, with a deadline
            await asyncio.sleep(0)
    feed += [asyncio.ensure_future(runtime.execute(each)) for each in calls[1:]]
    hr = asyncio.ensure_future(runtime.execute(disabled("hr", user_id="hr", source="urn:hr")))
    async with asyncio.timeout(10):
        while "urn:hr" not in limiter._queue.counts(Lane.URGENT):  # noqa: ASYNC110 - polled, with a deadline
            await asyncio.sleep(0)
    put_back = [each.result() for each in feed if each.done()]
    assert len(put_back) == 30 - Limit(300).places
    assert all(isinstance(each, Held) and (each.reason, each.tried) == (HELD_FOR_SOURCE, False) for each in put_back)
    limiter._queue.serve(None)
    limiter._queue.serve(None)
    assert await hr == DONE
    limiter._looking.cancel()
    limiter._fallback.end()
    for each in feed:
        each.cancel()


async def test_what_is_superseded_while_it_waits_for_its_permit_is_not_made(
    runtime: WorkerRuntime, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may take minutes; another call has the permit then."""
    permits: list[int] = []

    async def as_told(_: Ask) -> Grant:
        return Grant(permits.pop() if permits else 0, 1, 0.0)

    limiter = Limiter("genesys", Limit(300), "w", as_told, 0)
    monkeypatch.setattr(runtime._limits, "of", lambda _: limiter)
    spared = disabled("spared", event_type="user.disabled", target_key="ada")
    waiting = asyncio.ensure_future(runtime.execute(spared))
    async with asyncio.timeout(10):
        while not limiter._queue:  # noqa: ASYNC110 - polled, with a deadline
            await asyncio.sleep(0)
    now = datetime.now(UTC)
    runtime._enabled.learn([EnabledRow(spared.source, "ada", "enabled", now, now, 1)])
    permits.append(1)
    async with asyncio.timeout(10):
        verdict = await waiting
    assert isinstance(verdict, Settled)
    assert (verdict.state, provider.asked) == (State.SUPERSEDED, [])
    assert await runtime.execute(spared) == verdict
    async with asyncio.timeout(1):
        assert await runtime.execute(disabled("other", user_id="u-2")) == DONE
