"""Signals out: whom we revoke, a receiver hears of, pushed and polled, whatever is away meanwhile."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from joserfc.jwk import ECKey, KeySet
from servers import Processes, free_port, wait_until
from system import System

from tasks.doors.pull import Found, Reach
from tasks.doors.security_event_poll import SecurityEventPoll
from tasks.doors.security_event_tokens import Settings
from tasks.providers.http import Edge, open_session

OURS: Final = "https://revoker.example.com"
SECRETS: Final = ("what-the-receiver-shows-0123456789", "what-the-worker-shows-0123456789")


async def test_whom_we_revoke_is_told_to_who_is_pushed_to_and_to_who_polls(
    tmp_path: Path, processes: Processes
) -> None:
    """The stream is away at first, then killed between two polls: each receiver hears of each user, in the end once."""
    key = ECKey.generate_key("P-256")
    jwks, shown = tmp_path / "jwks.json", tmp_path / "shown"
    shown.write_text("\n".join(SECRETS))
    shown.chmod(0o600)
    heard: list[str] = []
    receiver, port = await receiving(heard), free_port()
    one = {"kind": "ssf", "issuer": OURS, "subject": "email", "signing_key": key.as_pem(private=True).decode()}
    polled = {"receiver_url": f"http://127.0.0.1:{port}/partner", "audience": "partner", "access_token": SECRETS[1]}
    pushed = {"receiver_url": receiver.name, "audience": "okta"}
    door = {"kind": "signal-stream", "issuer": OURS, "audience": "partner", "jwks_file": str(jwks), "limit": 100}
    system = System(
        tmp_path / "system",
        f"embedded:///{tmp_path / 'system' / 'broker.sqlite3'}",
        processes,
        doors={"partner": {**door, "bearer_file": str(shown)}},
        door={"port": port},
    )
    system.env["REVOKER_PROVIDERS__PARTNER"] = json.dumps({**one, **polled})
    system.env["REVOKER_PROVIDERS__OKTA"] = json.dumps({**one, **pushed})
    jwks.write_text((await asyncio.to_thread(system.revoker, "provider", "jwks")).stdout)
    await asyncio.to_thread(system.start)
    users = [f"user{n}@example.com" for n in range(3)]
    ids = [str(uuid.uuid4()) for _ in users]
    events = [
        system.disabled(name, sub_id={"format": "email", "email": user}) for name, user in zip(ids, users, strict=True)
    ]
    await asyncio.to_thread(system.publish, events)
    await until(lambda: len(heard) == len(users), "every signal to be pushed")
    first = processes.start("revoker", "door", env=system.env, name="door")
    keys = KeySet.import_key_set(json.loads(jwks.read_text()))
    settings = {"kind": "security-event-tokens", "issuer": OURS, "audience": "partner", "jwks_file": str(jwks)}
    (tmp_path / "ours").write_text(SECRETS[0])
    (tmp_path / "ours").chmod(0o600)
    settings |= {"poll_url": f"http://127.0.0.1:{port}/partner/poll", "access_token_file": str(tmp_path / "ours")}
    async with open_session() as session:

        async def known(_: bool) -> KeySet | None:  # noqa: FBT001 - as a Reach asks
            return keys

        poll = SecurityEventPoll(Settings.model_validate(settings), Reach(Edge(session, 5), known))
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
        except Exception as error:  # noqa: BLE001 - it is away
            last: Any = error
        else:
            if len(found.events) >= count:
                return found
            last = found
        await asyncio.sleep(0.2)
    raise AssertionError(last)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, with the receiver served meanwhile."""
    await asyncio.to_thread(wait_until, condition, 40, what)
