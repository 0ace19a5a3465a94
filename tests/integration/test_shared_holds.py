"""Guards of several workers on one ledger: what one learns holds all, one of them probes, one of them says so."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import eventually

from tasks.call import Attempt, Lane, ProviderCall
from tasks.doubt import DIED
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.providers import genesys
from tasks.runtime import Held
from worker.calls.holds import policy, store
from worker.calls.holds.hold import Hold, HoldLimits, OpenedBy, Scope
from worker.calls.holds.policy import HELD_BY_OPERATOR, CircuitBreakers, Verdict
from worker.calls.holds.provider_state import ACCEPTED_BETWEEN
from worker.database.thread import DatabaseThread
from worker.ledger import AuditEntry, Ledger

pytest_plugins = ["ledger_fixtures"]

DONE = Settled(State.ACCEPTED, "204")
FAULT = CredentialFault(Reason.AUTH_FORBIDDEN)
EITHER = CredentialFault(Reason.AUTH_UNAUTHORIZED, is_ambiguous=True)
DOWN = Transient(Reason.HTTP_5XX)
UNKNOWN = Permanent(Reason.PROVIDER_NOT_FOUND)
LIMITS = HoldLimits(
    first=0.4, cap=1.6, longest_pause=5, leases={"genesys": 5.0, "finbourne": 5.0}, worker_only=frozenset({"wibmo"})
)


def call(number: int, provider: str = "genesys", source: str = "urn:test") -> ProviderCall:
    """Call *number* of *source*, about a user of its own."""
    now = datetime.now(UTC)
    return ProviderCall(
        call_id=f"call-{number}",
        source=source,
        event_id=f"event-{number}",
        event_type="user.disabled",
        occurred_at=now,
        deadline=now + timedelta(hours=1),
        provider=provider,
        operation=genesys.DELETE_TOKEN,
        lane=Lane.URGENT,
        subject="a***@example.com",
        subject_keys=(f"user-{number}",),
    )


def tried(number: int) -> ProviderCall:
    """Call *number* with an attempt behind it."""
    return call(number).after(Attempt(at=datetime.now(UTC), reason=EITHER.reason))


class Provider:
    """A provider that answers as told, and counts who reached it."""

    def __init__(self, outcome: Outcome, seconds: float = 0.0) -> None:
        self.outcome, self.seconds, self.asked = outcome, seconds, 0

    async def __call__(self) -> Outcome:
        """Answer."""
        self.asked += 1
        await asyncio.sleep(self.seconds)
        return self.outcome

    async def many(self, breakers: CircuitBreakers, count: int, *, own_credential: bool = True) -> list[Verdict]:
        """What *count* calls at once come to."""
        return await asyncio.gather(
            *(breakers.attempt(call(number), self, own_credential=own_credential) for number in range(count))
        )


@asynccontextmanager
async def started(url: str, limits: HoldLimits = LIMITS) -> AsyncIterator[CircuitBreakers]:
    """The breakers of a worker process."""
    thread = DatabaseThread(url)
    breakers = CircuitBreakers(limits, thread, chance=lambda: 0.0)
    await breakers.start()
    yield breakers
    await breakers.stop()
    thread.close()


def told(caplog: pytest.LogCaptureFixture, what: str) -> list[logging.LogRecord]:
    """What was said of holds."""
    return [record for record in caplog.records if record.message == what]


async def is_held(breakers: CircuitBreakers) -> bool:
    """Whether the worker knows of a hold; nothing is probed by asking."""
    return bool(breakers._registry.blocking("genesys", own_credential=True))


async def is_due(breakers: CircuitBreakers) -> bool:
    """Whether the next call is the probe."""
    return breakers._registry.are_due(breakers._registry.blocking("genesys", own_credential=True))


async def is_free(breakers: CircuitBreakers) -> bool:
    """Whether a call goes, as the probe if need be."""
    return not isinstance(await breakers.attempt(call(99), Provider(DONE), own_credential=True), Held)


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


async def test_a_source_whose_people_nobody_knows_waits_alone(ledger_url: str, ledger: Ledger) -> None:
    """The first nine are what they are; from the tenth on its calls wait. Another's success shows: it is its data."""
    async with started(ledger_url) as breakers:
        verdicts = await Provider(UNKNOWN).many(breakers, 12, own_credential=False)
        assert verdicts[:9] == [UNKNOWN] * 9
        assert {type(each) for each in verdicts[9:]} == {Held}
        await eventually(lambda: asyncio.to_thread(store.standing, ledger.database))
        [hold] = store.standing(ledger.database)
        assert (hold.reason, hold.source) == (Reason.PROVIDER_NOT_FOUND, "urn:test")
        assert isinstance(await breakers.attempt(call(20), Provider(DONE), own_credential=False), Held)
        assert await breakers.attempt(call(21, source="urn:other"), Provider(DONE), own_credential=False) == DONE
        assert await breakers.attempt(call(22), Provider(UNKNOWN), own_credential=False) == UNKNOWN


@pytest.mark.usefixtures("ledger")
async def test_a_provider_where_several_sources_know_nobody_is_held(ledger_url: str) -> None:
    """It is the wrong base URL, or the wrong organization: nobody's calls are made."""
    async with started(ledger_url) as breakers:
        for number in range(10):
            await breakers.attempt(call(number, source=f"urn:{number % 2}"), Provider(UNKNOWN), own_credential=True)
        assert isinstance(await breakers.attempt(call(20, source="urn:c"), Provider(DONE), own_credential=True), Held)


@pytest.mark.usefixtures("ledger")
async def test_an_unknown_person_that_settles_a_call_holds_nobody(ledger_url: str) -> None:
    """Whoever says that a 404 will do has said that it is no symptom."""
    settled = Settled(State.ALREADY_REVOKED, "404")
    async with started(ledger_url) as breakers:
        assert await Provider(settled).many(breakers, 30) == [settled] * 30
        assert await is_free(breakers)


async def test_dead_references_hold_no_living_one(ledger_url: str, ledger: Ledger) -> None:
    """Neither another source's nor, while it was not tried yet, one of the same; those refused before wait for it."""
    async with started(ledger_url) as breakers:
        provider = Provider(EITHER)
        verdicts = await provider.many(breakers, 40)
        assert sum(each == Transient(EITHER.reason) for each in verdicts) == provider.asked
        assert all(isinstance(each, Held) and not each.tried for each in verdicts if not isinstance(each, Transient))
        await eventually(lambda: asyncio.to_thread(store.standing, ledger.database))
        [hold] = store.standing(ledger.database)
        assert (hold.scope, hold.source) == (Scope.WORKER, "urn:test")
        assert isinstance(await breakers.attempt(tried(3), Provider(EITHER), own_credential=True), Held)
        assert await breakers.attempt(call(41, source="urn:other"), Provider(DONE), own_credential=True) == DONE
        await eventually(lambda: is_free(breakers))
    assert store.standing(ledger.database) == []


@pytest.mark.usefixtures("ledger")
async def test_a_living_reference_of_the_same_source_goes_beside_its_dead_ones(ledger_url: str) -> None:
    """A call that was never tried loses nothing by a try."""
    async with started(ledger_url) as breakers:
        await Provider(EITHER).many(breakers, 40)
        assert await breakers.attempt(call(41), Provider(DONE), own_credential=True) == DONE


@pytest.mark.usefixtures("ledger")
async def test_a_reference_refused_three_times_with_a_success_between_is_dead(ledger_url: str) -> None:
    """Not one that was refused as often after the last success: the key may be bad."""
    async with started(ledger_url) as breakers:
        for number in (1, 2):
            for _ in range(4):
                assert await breakers.attempt(tried(number), Provider(EITHER), own_credential=True) == Transient(
                    EITHER.reason
                )
            await breakers.attempt(call(number + 10, source="urn:other"), Provider(DONE), own_credential=True)
            verdict = await breakers.attempt(tried(number), Provider(EITHER), own_credential=True)
            assert isinstance(verdict, Settled)
            assert (verdict.state, verdict.detail[DIED]) == (State.ALREADY_REVOKED, ACCEPTED_BETWEEN)


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("between", [UNKNOWN, Permanent("http.4xx.bad_request"), Settled(State.ALREADY_REVOKED, "x")])
async def test_only_a_success_shows_that_a_key_is_good(ledger_url: str, between: Outcome) -> None:
    """What a gateway may say before it looks at the key shows nothing; nor does a success with the key before it."""
    async with started(ledger_url) as breakers:
        await breakers.attempt(call(1), Provider(EITHER), own_credential=True)
        await breakers.attempt(call(2), Provider(between), own_credential=True)
        assert await breakers.attempt(tried(1), Provider(EITHER), own_credential=True) == Transient(EITHER.reason)
        await breakers.attempt(call(3), Provider(DONE), own_credential=True)
        breakers.credential_changed("genesys")
        assert await breakers.attempt(tried(1), Provider(EITHER), own_credential=True) == Transient(EITHER.reason)


async def test_a_probe_in_vain_burns_the_attempt_of_a_suspect(ledger_url: str, ledger: Ledger) -> None:
    """So a dead reference, or a person nobody knows, ends in time; only one is tried each time."""
    async with started(ledger_url) as breakers:
        await Provider(UNKNOWN).many(breakers, 12)
        await asyncio.sleep(LIMITS.first)  # the time of the hold, which is the thing under test
        verdicts = await Provider(UNKNOWN).many(breakers, 3)
        assert (verdicts[0], {type(each) for each in verdicts[1:]}) == (UNKNOWN, {Held})
        await eventually(lambda: asyncio.to_thread(lambda: store.standing(ledger.database)[0].failed_probes == 2))


@pytest.mark.usefixtures("ledger")
async def test_after_a_probe_in_vain_another_source_is_asked(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever's data keeps a hold alive does not keep the others from ending it."""
    monkeypatch.setattr(policy, "YIELD_DELAY", 0.05)
    async with started(ledger_url) as breakers:
        await Provider(DOWN).many(breakers, 5)
        await eventually(lambda: is_due(breakers))
        assert isinstance(await breakers.attempt(call(6), Provider(DOWN), own_credential=True), Held)
        await eventually(lambda: is_due(breakers))
        mine, theirs = Provider(DOWN), Provider(DONE)
        both = await asyncio.gather(
            breakers.attempt(call(7), mine, own_credential=True),
            breakers.attempt(call(8, source="urn:other"), theirs, own_credential=True),
        )
    assert (theirs.asked, both[1]) == (1, DONE)
    assert mine.asked == 0 or both[0] == DOWN  # it waited, and went once the hold was over


BY_ONE_SOURCE = [UNKNOWN, Settled(State.ALREADY_REVOKED, "404"), Permanent("http.4xx.bad_request"), DONE]


@pytest.mark.parametrize("own_credential", [True, False])
@given(outcomes=st.lists(st.sampled_from(BY_ONE_SOURCE), max_size=40))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_one_sources_calls_come_to_another_is_served(
    tmp_path: Path,
    own_credential: bool,  # noqa: FBT001 - a case
    outcomes: list[Outcome],
) -> None:
    """At once, by a worker that has just begun and by one that has seen it all; ambiguous refusals included."""

    async def story() -> None:
        async with started(f"sqlite:///{tmp_path}/nowhere/ledger.sqlite3") as breakers:
            for number, outcome in enumerate([*outcomes, *([EITHER] * 12 if own_credential else [])]):
                await breakers.attempt(call(number), Provider(outcome), own_credential=own_credential)
            assert (
                await breakers.attempt(call(99, source="urn:other"), Provider(DONE), own_credential=own_credential)
                == DONE
            )

    asyncio.run(story())


@pytest.mark.usefixtures("ledger")
async def test_a_users_bad_token_opens_nothing(ledger_url: str) -> None:
    """What looks like a credential fault there is a contradiction for people to look at."""
    async with started(ledger_url) as breakers:
        assert await Provider(FAULT).many(breakers, 50, own_credential=False) == [Permanent(FAULT.reason)] * 50
        assert await is_free(breakers)


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
