"""Holds that all workers share: what one learns holds all, one of them probes, one of them says so."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from breakers import DONE, DOWN, FAULT, LIMITS, Provider, call, is_free, started
from servers import eventually

from tasks.outcome import Reason, Settled, Transient
from tasks.runtime import Held
from worker.calls.holds import policy, store
from worker.calls.holds.hold import Hold, OpenedBy, Scope
from worker.calls.holds.policy import HELD_BY_OPERATOR, CircuitBreakers
from worker.database.thread import DatabaseThread
from worker.ledger import AuditEntry, Ledger

pytest_plugins = ["ledger_fixtures"]


def told(caplog: pytest.LogCaptureFixture, what: str) -> list[logging.LogRecord]:
    """What was said of holds."""
    return [record for record in caplog.records if record.message == what]


async def is_held(breakers: CircuitBreakers) -> bool:
    """Whether the worker knows of a hold; nothing is probed by asking."""
    return bool(breakers._registry.blocking("genesys", own_credential=True))


async def test_a_refused_credential_meets_a_handful_of_calls(ledger_url: str, ledger: Ledger) -> None:
    """Of forty at once, five at most; none of them burns an attempt, and none of the others is made."""
    provider = Provider(FAULT, 0.02)
    async with started(ledger_url) as breakers:
        verdicts = await provider.many(breakers, 40)
    assert {(type(each), each.reason) for each in verdicts if not isinstance(each, Settled)} == {
        (Held, Reason.AUTH_FORBIDDEN)
    }
    assert provider.asked <= 5
    [hold] = store.standing(ledger.database)
    assert hold.key == ("genesys", Scope.WORKER, OpenedBy.BREAKER, "")


async def test_workers_that_find_out_together_say_so_once(
    ledger_url: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """Both open the hold; one row, one alert at error level, and both are held by it."""
    async with started(ledger_url) as one, started(ledger_url) as two:
        await asyncio.gather(Provider(FAULT).many(one, 3), Provider(FAULT).many(two, 3))

        async def both_wrote() -> bool:
            return not one._sync._changes and not two._sync._changes

        await eventually(both_wrote)
    [record] = told(caplog, "provider.held")
    assert (record.levelno, record.__dict__["reason"]) == (logging.ERROR, Reason.AUTH_FORBIDDEN)
    assert len(store.standing(ledger.database)) == 1


@pytest.mark.usefixtures("ledger")
async def test_one_worker_probes_and_all_go_on(ledger_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that never asked follows within about a second, one call is the probe, its success releases all."""
    probe = Provider(DONE, 0.3)
    async with started(ledger_url) as one, started(ledger_url) as two:
        await Provider(FAULT).many(one, 3)
        await eventually(lambda: is_held(two))
        await asyncio.sleep(LIMITS.first + 0.1)  # the time of the hold, which is the thing under test
        await asyncio.gather(*(probe.many(each, 5) for each in (one, two)))
        assert probe.asked == 1
        await eventually(lambda: is_free(one))
        await eventually(lambda: is_free(two))
    assert len(told(caplog, "provider.released")) == 1


async def test_every_failed_probe_doubles_the_hold_and_burns_nothing(ledger_url: str, ledger: Ledger) -> None:
    """0.4, 0.8, 1.6, 1.6 seconds; an outage is no reason to burn the attempts of those who look whether it is over."""
    async with started(ledger_url) as breakers:
        verdicts = await Provider(DOWN).many(breakers, 5)
        assert set(map(type, verdicts)) == {Transient}
        for strikes in (2, 3, 4):

            async def probed(strikes: int = strikes) -> bool:
                assert isinstance(await breakers.attempt(call(7), Provider(DOWN), own_credential=True), Held)
                return [hold.failed_probes for hold in store.standing(ledger.database)] == [strikes]

            await eventually(probed)
        [hold] = store.standing(ledger.database)
    assert (hold.scope, hold.reason) == (Scope.ALL, Reason.HTTP_5XX)
    assert hold.until - datetime.now(UTC) < timedelta(seconds=LIMITS.cap)


@pytest.mark.usefixtures("ledger")
async def test_a_hold_outlives_the_worker_that_opened_it(ledger_url: str) -> None:
    """The next one knows before its first call."""
    lasting = replace(LIMITS, first=60, cap=60)
    async with started(ledger_url, lasting) as breakers:
        await Provider(DOWN).many(breakers, 5)
    provider = Provider(DONE)
    async with started(ledger_url, lasting) as breakers:
        assert isinstance(await breakers.attempt(call(1), provider, own_credential=False), Held)
    assert provider.asked == 0


@pytest.mark.usefixtures("ledger")
async def test_a_refusal_nobody_shares_burns_an_attempt(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits a moment for others, then it is about this call alone: tried again, and some day given up."""
    monkeypatch.setattr(policy, "VERDICT_TIMEOUT", 0.05)
    async with started(ledger_url) as breakers:
        assert await Provider(FAULT).many(breakers, 1) == [Transient(FAULT.reason)]


async def test_a_retry_after_pauses_every_call_of_the_provider(ledger_url: str, ledger: Ledger) -> None:
    """Those with users' tokens as well, in every worker; it ends by itself."""
    async with started(ledger_url) as one, started(ledger_url) as two:
        await Provider(Transient(Reason.HTTP_429, 2.0)).many(one, 1)
        assert isinstance(await one.attempt(call(1), Provider(DONE), own_credential=False), Held)
        await eventually(lambda: is_held(two))
        await eventually(lambda: is_free(one))

        async def cleared() -> bool:
            return not store.standing(ledger.database)

        await eventually(cleared)


async def test_an_operators_hold_is_followed_until_its_expiry(
    ledger_url: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """No alert for what a person decided; one line when it is over."""
    now = datetime.now(UTC)
    wanted = Hold("genesys", Scope.ALL, OpenedBy.OPERATOR, "ops", "maintenance", now, now + timedelta(seconds=3))
    async with started(ledger_url) as one, started(ledger_url) as two:
        store.place(ledger.database, wanted, AuditEntry("ops", "provider.hold", "genesys", "maintenance"))
        await eventually(lambda: is_held(one))
        verdict = await one.attempt(call(1), Provider(DONE), own_credential=False)
        assert isinstance(verdict, Held)
        assert verdict.reason == HELD_BY_OPERATOR
        await eventually(lambda: is_free(one))
        await eventually(lambda: is_free(two))

        async def cleared() -> bool:
            return not store.standing(ledger.database) and bool(told(caplog, "provider.released"))

        await eventually(cleared)
    assert len(told(caplog, "provider.released")) == 1
    assert not told(caplog, "provider.held")


async def test_a_release_has_a_breakers_hold_probed_at_once(ledger_url: str, ledger: Ledger) -> None:
    """An operator who mended the cause need not wait for the next probe."""
    async with started(ledger_url) as breakers:
        await Provider(DOWN).many(breakers, 5)
        await eventually(lambda: asyncio.to_thread(store.standing, ledger.database))
        [released] = store.release(
            ledger.database, "genesys", AuditEntry("ops", "provider.release", "genesys", "mended")
        )
        assert released.failed_probes == 1
        await eventually(lambda: is_free(breakers))


async def test_without_a_ledger_a_worker_looks_after_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It holds, probes and goes on as ever, and says that the ledger is away, once."""
    async with started(f"sqlite:///{tmp_path}/nowhere/ledger.sqlite3") as breakers:
        await Provider(FAULT).many(breakers, 3)
        assert await is_held(breakers)
        await eventually(lambda: is_free(breakers))

        async def said() -> bool:
            return bool(told(caplog, "provider.released"))

        await eventually(said)
    assert [len(told(caplog, what)) for what in ("holds.ledger_away", "provider.held")] == [1, 1]


async def test_a_new_credential_is_probed_at_once(ledger: Ledger, ledger_url: str) -> None:
    """Whoever replaced what was refused does not wait for the next probe."""
    del ledger
    thread = DatabaseThread(ledger_url)
    breakers = CircuitBreakers(replace(LIMITS, first=300, cap=300), thread, chance=lambda: 0.0)
    await breakers.start()
    await Provider(FAULT).many(breakers, 6)
    assert isinstance(await breakers.attempt(call(7), Provider(DONE), own_credential=True), Held)
    breakers.credential_changed("genesys")
    assert await breakers.attempt(call(8), Provider(DONE), own_credential=True) == DONE
    await breakers.stop()
    thread.close()
