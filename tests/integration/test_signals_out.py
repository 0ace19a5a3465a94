"""Signals out: whom we revoke, a receiver hears of, pushed and polled, whatever is away meanwhile."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from joserfc.jwk import ECKey, KeySet
from servers import Processes, free_port, wait_until
from system import System

from tasks.doors.pull import Found, PullFailed, Reach
from tasks.doors.security_event_poll import SecurityEventPoll
from tasks.doors.security_event_tokens import Settings
from tasks.providers.http import Edge, open_session

OURS: Final = "https://revoker.example.com"
SECRETS: Final = ("what-the-receiver-shows-0123456789", "what-the-worker-shows-0123456789")


async def test_whom_we_revoke_is_told_to_who_is_pushed_to_and_to_who_polls(
    tmp_path: Path, processes: Processes
) -> None:
    """The stream is away at first, then killed between two polls: each receiver hears of each user, in the end once."""
    heard: list[str] = []
    receiver, stream = await receiving(heard), Stream(tmp_path)
    system = await telling(stream, receiver.name, processes)
    users = [f"user{n}@example.com" for n in range(3)]
    events = [system.disabled(str(uuid.uuid4()), sub_id={"format": "email", "email": each}) for each in users]
    await asyncio.to_thread(system.publish, events)
    await until(lambda: len(heard) == len(users), "every signal to be pushed")
    first = processes.start("revoker", "door", env=system.env, name="door")
    async with stream.polling() as poll:
        found = await polled_until(poll, None, len(users))
        first.kill9()
        processes.start("revoker", "door", env=system.env, name="door")
        again = await polled_until(poll, None, len(users))
        assert again.events == found.events
        assert {each.data["sub_id"]["email"] for each in again.events} == {*users}
        rest = await poll.pull(again.cursor, datetime.now(UTC))
        assert (rest.events, (await poll.pull(rest.cursor, datetime.now(UTC))).events) == ((), ())
    doctor = await asyncio.to_thread(system.revoker, "doctor", "-o", "json")
    checks = {(each["check"], each["about"]): each["detail"] for each in json.loads(doctor.stdout)["items"]}
    assert checks["door.signals", "partner"] == "none waits"
    told = await asyncio.to_thread(system.revoker, "explain", users[0], "-o", "json", code=1)
    assert told.stdout.count("what the receiver does not end") >= 2
    await receiver.cleanup()
    system.close()


class Stream:
    """The door at which the receiver `partner` polls our signals, and its secrets and keys in *home*."""

    def __init__(self, home: Path) -> None:
        self.home, self.port, self.jwks = home, free_port(), home / "jwks.json"
        self.url = f"http://127.0.0.1:{self.port}/partner"
        self._issued = {"issuer": OURS, "audience": "partner", "jwks_file": str(self.jwks)}
        self._shown, self._theirs = secret(home / "shown", *SECRETS), secret(home / "theirs", SECRETS[0])

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the door."""
        return {"kind": "signal-stream", **self._issued, "limit": 100, "bearer_file": str(self._shown)}

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[SecurityEventPoll]:
        """The receiver, which is a door of another installation."""
        asked = {"poll_url": f"{self.url}/poll", "access_token_file": str(self._theirs)}
        settings = Settings.model_validate({"kind": "security-event-tokens", **self._issued, **asked})
        keys = KeySet.import_key_set(json.loads(self.jwks.read_text()))

        async def known(_: bool) -> KeySet | None:  # noqa: FBT001 - as a Reach asks
            return keys

        async with open_session() as session:
            yield SecurityEventPoll(settings, Reach(Edge(session, 5), known))


def secret(file: Path, *lines: str) -> Path:
    """Write a file of secrets."""
    file.write_text("\n".join(lines))
    file.chmod(0o600)
    return file


async def telling(stream: Stream, pushed_to: str, processes: Processes) -> System:
    """Start an installation that tells whom it revokes to a receiver at *pushed_to* and to who polls at *stream*."""
    home, key = stream.home / "system", ECKey.generate_key("P-256")
    doors = {"partner": stream.settings}
    system = System(home, f"embedded:///{home / 'broker.sqlite3'}", processes, doors=doors, door={"port": stream.port})
    one = {"kind": "ssf", "issuer": OURS, "subject": "email", "signing_key": key.as_pem(private=True).decode()}
    polled = {"receiver_url": stream.url, "audience": "partner", "access_token": SECRETS[1]}
    system.env["REVOKER_PROVIDERS__PARTNER"] = json.dumps({**one, **polled})
    system.env["REVOKER_PROVIDERS__OKTA"] = json.dumps({**one, "receiver_url": pushed_to, "audience": "okta"})
    stream.jwks.write_text((await asyncio.to_thread(system.revoker, "provider", "jwks")).stdout)
    await asyncio.to_thread(system.start)
    return system


class Receiver(web.AppRunner):
    """A receiver that is pushed to."""

    name = ""


async def receiving(heard: list[str]) -> Receiver:
    """Serve one, which takes everything."""

    async def take(request: web.Request) -> web.Response:
        heard.append(await request.text())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/events", take)
    runner, port = Receiver(app), free_port()
    runner.name = f"http://127.0.0.1:{port}/events"
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def polled_until(poll: SecurityEventPoll, cursor: str | None, count: int) -> Found:
    """Poll until there are so many events; a stream that is away for now is asked again."""
    for _ in range(200):
        try:
            found = await poll.pull(cursor, datetime.now(UTC))
        except PullFailed as away:
            last: Any = away
        else:
            if len(found.events) >= count:
                return found
            last = found
        await asyncio.sleep(0.2)
    raise AssertionError(last)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, with the receiver served meanwhile."""
    await asyncio.to_thread(wait_until, condition, 40, what)
