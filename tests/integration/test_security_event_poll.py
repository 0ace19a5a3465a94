"""Polling for Security Event Tokens: a token is acknowledged when its event is safe, and never before."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from door_installation import AWAY
from door_peer import ISSUER, Idp
from joserfc.jwk import ECKey, KeySet
from servers import Processes, wait_until
from set_transmitter import AUDIENCE, Transmitter
from system import System

from tasks.doors.pull import Found, PullFailed, Reach
from tasks.doors.security_event_poll import KEYLESS, SecurityEventPoll
from tasks.doors.security_event_tokens import Settings
from tasks.providers.http import Edge, open_session

SECRET = "the-token-that-the-transmitter-gave-us"


class Polling:
    """The poll of a stream, and the transmitter of it."""

    def __init__(self, settings: Settings, edge: Edge, transmitter: Transmitter) -> None:
        self.poll, self.transmitter = SecurityEventPoll(settings, Reach(edge, self.known)), transmitter
        self.keys: KeySet | None = KeySet.import_key_set({"keys": [transmitter.idp.key.as_dict(private=False)]})
        self.anew = 0

    async def known(self, anew: bool) -> KeySet | None:  # noqa: FBT001 - as a Reach asks
        """The issuer's keys."""
        self.anew += anew
        return self.keys

    async def look(self, last: Found | None = None, now: datetime | None = None) -> Found:
        """One look behind *last*."""
        return await self.poll.pull(last.cursor if last else None, now or datetime.now(UTC))


@pytest.fixture
async def polling(tmp_path: Path) -> AsyncIterator[Polling]:
    """A poll with a transmitter that serves."""
    write_secret(tmp_path)
    transmitter = Transmitter(Idp(tmp_path), SECRET)
    async with transmitter.serving(), open_session() as session:
        yield Polling(Settings.model_validate(of(tmp_path, transmitter)), Edge(session, 5), transmitter)


def write_secret(home: Path) -> None:
    """Write the file of our token."""
    (home / "token").write_text(SECRET)
    (home / "token").chmod(0o600)


def of(home: Path, transmitter: Transmitter) -> dict[str, Any]:
    """The settings of a door that polls *transmitter*."""
    return {
        "kind": "security-event-tokens",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks_uri": f"{transmitter.url}/keys",
        "poll_url": f"{transmitter.url}/poll",
        "poll_size": 2,
        "access_token_file": str(home / "token"),
        "sweep_interval": 0.2,
    }


async def test_the_next_poll_acknowledges_what_the_last_one_brought(polling: Polling) -> None:
    """A look that nobody built on is repeated as it was: RFC 8936, 2.4, lets a transmitter send again."""
    there = polling.transmitter
    for number in range(3):
        there.tell(f"j{number}", f"u{number}")
    lost, first = await polling.look(), await polling.look()
    assert lost.events == first.events
    assert there.acknowledged == []
    assert [each.event_id for each in first.events] == ["j0", "j1"]
    assert there.asked[0] == {"ack": [], "setErrs": {}, "maxEvents": 2, "returnImmediately": False}
    second = await polling.look(first)
    assert there.asked[-1]["returnImmediately"] is True
    assert there.acknowledged == ["j0", "j1"]
    third = await polling.look(second)
    assert (first.more, second.more, third.more) == (True, True, False)
    assert there.acknowledged == ["j0", "j1", "j2"]
    assert third.events == ()


async def test_what_is_refused_is_told_with_its_code(polling: Polling) -> None:
    """As a push would be (RFC 8936, 2.6), each by itself; what means nothing here is acknowledged."""
    there, stranger = polling.transmitter, ECKey.generate_key("P-256", {"kid": "k1"})
    ours, there.idp.key = there.idp.key, stranger
    there.tell("forged", "u")
    there.idp.key = ours
    there.tell("of another", "u", iss="https://evil.example.com")
    polling.poll._size = 10
    there.tell("for another", "u", aud="https://other.example.com")
    there.tell("verification", "u", events={"https://schemas.openid.net/secevent/ssf/event-type/verification": {}})
    there.tell("unreadable", "u", sub_id={"format": "iss_sub", "iss": "i", "sub": "x" * 10_000})
    there.tell("taken", "u")
    there.kept["no token"] = "x"
    found = await polling.look()
    assert [each.event_id for each in found.events] == ["taken"]
    assert sum(found.refused.values()) == 5
    await polling.look(found)
    assert there.acknowledged == ["verification", "taken"]
    assert there.refused == {
        "forged": "authentication_failed",
        "of another": "invalid_issuer",
        "for another": "invalid_audience",
        "unreadable": "invalid_request",
        "no token": "invalid_request",
    }


async def test_a_token_waits_for_the_key_that_signed_it(polling: Polling) -> None:
    """A key that is rotated in is shown late: the token is neither acknowledged nor refused until an hour is over."""
    there, late = polling.transmitter, ECKey.generate_key("P-256", {"kid": "k1"})
    there.tell("j1", "u1")
    polling.keys = KeySet.import_key_set({"keys": [{**late.as_dict(private=False), "kid": "k2"}]})
    now = datetime.now(UTC)
    waiting = await polling.look(now=now)
    assert (polling.anew, waiting.events, waiting.more) == (1, (), False)
    again = await polling.look(waiting, now)
    assert there.asked[-1]["ack"] == []
    refused = await polling.look(again, datetime.fromtimestamp(now.timestamp() + KEYLESS, UTC))
    assert refused.refused == {"invalid_key": 1}
    polling.keys = KeySet.import_key_set({"keys": [there.idp.key.as_dict(private=False)]})
    assert [each.event_id for each in (await polling.look(again, now)).events] == ["j1"]
    polling.keys = None
    with pytest.raises(PullFailed, match=r"keys\.unread"):
        await polling.look()


async def test_a_transmitter_that_cannot_be_polled_is_told_from_one_that_has_nothing(polling: Polling) -> None:
    """Its Retry-After counts; what it holds for long is asked for again at once, an empty answer at once is not."""
    there = polling.transmitter
    there.status = [(429, {"Retry-After": "7"}), (503, {}), (401, {}), (200, {})]
    there.status.append((429, {"X-Rate-Limit-Reset": "1700000010", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}))
    found = []
    for _ in range(5):
        with pytest.raises(PullFailed) as failed:
            await polling.look()
        found.append((str(failed.value.reason), failed.value.retry_after))
    assert found[0] == ("http.429", 7)
    assert [reason for reason, _ in found[1:4]] == ["http.5xx", "auth.unauthorized", "provider.bad_reply"]
    assert found[4] == ("http.429", 10)
    assert not (await polling.look()).more
    there.hold = 1.0
    assert (await polling.look()).more
    (Path(str(polling.transmitter.idp.jwks)).parent / "token").chmod(0o644)
    with pytest.raises(PullFailed, match=r"secret\.unreadable"):
        await polling.look()


async def test_whom_a_polled_transmitter_names_is_out_whatever_is_killed(tmp_path: Path, processes: Processes) -> None:
    """Killed with a poll on its way, started while the broker is away: each user is out once, each token taken."""
    write_secret(tmp_path)
    transmitter, users = Transmitter(Idp(tmp_path), SECRET, hold=0.3), [str(uuid.UUID(int=n)) for n in range(1, 4)]
    system = System(
        tmp_path / "system",
        f"embedded:///{tmp_path / 'system' / 'broker.sqlite3'}",
        processes,
        sources={"transmitter": {"source": ISSUER, "doors": ["stream"]}},
        doors={"stream": of(tmp_path, transmitter)},
    )
    system.env["REVOKER_PROVIDERS__GENESYS__SUBJECT_ISSUER"] = ISSUER
    for number, user in enumerate(users[:2]):
        transmitter.tell(f"j{number}", user)
    transmitter.status = [(503, {"Retry-After": "0"})]
    async with transmitter.serving():
        env = system.shown("sweep")
        process = processes.start("revoker", "sweep", env={**env, **AWAY}, name="sweep")
        await until(lambda: transmitter.acknowledged == ["j0", "j1"], "what is in the outbox to be acknowledged")
        process.kill9()
        transmitter.tell("j2", users[2])
        await asyncio.to_thread(system.start)
        processes.start("revoker", "sweep", env=env, name="sweep")
        await until(lambda: set(users) <= set(system.revoked()), "every user to be out")
        await until(lambda: not transmitter.kept, "every token to be taken")
        shown = await asyncio.to_thread(system.page, "sweep")
        told = await asyncio.to_thread(system.revoker, "doctor")
    assert {user: system.revoked()[user] for user in users} == dict.fromkeys(users, 1)
    assert 'revoker_sweep_events_total{door="stream",finding="taken"} 1.0' in shown[1]
    assert "looked at" in told.stdout
    system.close()


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, with the transmitter served meanwhile."""
    await asyncio.to_thread(wait_until, condition, 40, what)
