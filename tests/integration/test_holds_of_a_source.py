"""Holds of a source: what the data of one source brings about holds the calls of that source, and nobody else's."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from breakers import DONE, DOWN, FAULT, LIMITS, Provider, call, is_free, started
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import eventually

from tasks.call import Attempt, ProviderCall
from tasks.doubt import DIED
from tasks.outcome import CredentialFault, Outcome, Permanent, Reason, Settled, State, Transient
from tasks.runtime import Held
from worker.calls.holds import policy, store
from worker.calls.holds.hold import Scope
from worker.calls.holds.policy import CircuitBreakers
from worker.calls.holds.provider_state import ACCEPTED_BETWEEN
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures"]


EITHER = CredentialFault(Reason.AUTH_UNAUTHORIZED, is_ambiguous=True)
UNKNOWN = Permanent(Reason.PROVIDER_NOT_FOUND)


def tried(number: int) -> ProviderCall:
    """Call *number* with an attempt behind it."""
    return call(number).after(Attempt(at=datetime.now(UTC), reason=EITHER.reason))


async def is_due(breakers: CircuitBreakers) -> bool:
    """Whether the next call is the probe."""
    return breakers._registry.are_due(breakers._registry.blocking("genesys", own_credential=True))


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
