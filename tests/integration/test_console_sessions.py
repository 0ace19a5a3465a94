"""Sessions of the console: everything that ends one, and who may know of them."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_installation import Installation
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from ledger_figures import audits
from sign_in_door import PASSWORD, Door, Visitor
from sqlalchemy import update

from tasks.records import EventPlanned
from worker.console.desk import THREADS
from worker.database.tables import console_sessions
from worker.operations import passwords
from worker.operations.console_users import read_users
from worker.settings import Settings

pytest_plugins = ["sign_in_fixtures"]

WHY = ("--reason", "left the company", "--yes")


def recorded(installation: Installation, event_type: str, *names: str, at: datetime | None = None) -> None:
    """Have the ledger learn of an event about somebody of these names."""
    keys = tuple(map(Settings.load().subjects().lookup, names))
    told: dict[str, Any] = {"source": "urn:hr", "event_id": str(uuid.uuid4()), "event_type": event_type}
    now = at or datetime.now(UTC)
    event = EventPlanned(**told, occurred_at=now, received_at=now, subject="o…", subject_keys=keys, units=())
    installation.desk.ledger.record([event])


def aged(installation: Installation, **columns: timedelta) -> None:
    """Have every session be older by as much."""
    now = datetime.now(UTC)
    with installation.desk.ledger.database.writing() as connection:
        connection.execute(update(console_sessions).values({name: now - age for name, age in columns.items()}))


async def test_who_signs_out_is_out_wherever_the_cookie_is(door: Door) -> None:
    """The ledger forgets the session; a new sign-in ends the one before in the same browser."""
    visitor = await (await door.open()).somebody()
    [before] = [each.value for each in visitor.session.cookie_jar]
    assert (await visitor.sign_in()).status == 303
    thief = await door.visitor()
    assert (await thief.get("/settings", Cookie=f"revoker-session={before}")).status == 303
    [now] = [each.value for each in visitor.session.cookie_jar]
    assert (await thief.get("/settings", Cookie=f"revoker-session={now}")).status == 200
    await visitor.post("/sign-out")
    assert (await thief.get("/settings", Cookie=f"revoker-session={now}")).status == 303


@pytest.mark.parametrize("old", [{"created": timedelta(hours=12)}, {"seen": timedelta(minutes=30)}])
async def test_a_session_ends_by_its_age_and_when_nobody_is_at_work(door: Door, old: dict[str, timedelta]) -> None:
    """12 hours, 30 minutes; the next sign-in of anybody clears it away."""
    visitor = await (await door.open()).somebody()
    aged(door.installation, **{name: age - timedelta(seconds=30) for name, age in old.items()})
    assert await visitor.is_in
    aged(door.installation, **old)
    assert not await visitor.is_in
    await door.somebody("viktor")
    assert [each.name for each in door.installation.desk.ledger.console_sessions()] == ["viktor"]


async def test_a_page_that_renews_itself_keeps_no_session_alive(door: Door) -> None:
    """Only who opens a page or sends a form is at work."""
    visitor = await (await door.open()).somebody()
    for mode, is_at_work in (("cors", False), ("navigate", True)):
        aged(door.installation, seen=timedelta(minutes=10))
        assert (await visitor.get("/settings", Sec_Fetch_Mode=mode)).status == 200
        [session] = door.installation.desk.ledger.console_sessions()
        assert (datetime.now(UTC) - session.seen < timedelta(minutes=1)) is is_at_work


async def test_operators_see_who_is_signed_in_and_end_it_from_outside(door: Door) -> None:
    """By id, by name, or all; what was ended is in the audit, and the next request finds out."""
    olga = await (await door.open()).somebody()
    viktor = await door.somebody("viktor")
    revoker = door.installation
    [second, first] = revoker.json("console", "sessions", "list")["items"]
    assert (first["name"], first["role"], first["means"], first["address"]) == (
        "olga",
        "operator",
        "password",
        "127.0.0.1",
    )
    assert revoker.json("console", "sessions", "end", first["session_id"], *WHY)["count"] == 1
    assert [await each.is_in for each in (olga, viktor)] == [False, True]
    assert "may have ended" in revoker.run("console", "sessions", "end", first["session_id"], *WHY, code=2).stderr
    revoker.run("console", "sessions", "end", "--user", "viktor", "--dry-run", "--reason", "x")
    assert await viktor.is_in
    revoker.run("console", "sessions", "end", "--user", "viktor", *WHY)
    assert not await viktor.is_in
    assert "--all" in revoker.run("console", "sessions", "end", *WHY, code=2).stderr
    scopes = [each.scope for each in audits(revoker.desk.ledger) if each.action == "console.sessions.end"]
    assert sorted(scopes) == sorted([f"olga {first['session_id']}", f"viktor {second['session_id']}"])


async def test_users_are_added_replaced_and_removed_and_their_sessions_follow(door: Door, tmp_path: Path) -> None:
    """The password comes from a file of its owner's; the users' file is private; each change is in the audit."""
    await door.open()
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD} of boris\n")
    revoker, why = door.installation, ("--reason", "new on call", "--yes")
    given = ("--password-file", str(secret))
    assert "0600" in revoker.run("console", "users", "add", "boris", "--role", "viewer", *given, *why, code=2).stderr
    secret.chmod(0o600)
    assert "terminal" in revoker.run("console", "users", "add", "boris", "--role", "viewer", *why, code=2).stderr
    as_address = ("--known-as", "boris@example.com")
    revoker.run("console", "users", "add", "boris", "--role", "viewer", *as_address, *given, *why)
    again = revoker.run("console", "users", "add", "olga", "--role", "viewer", *given, *why, "--if-none")
    assert again.stderr == "there are users already\n"
    listed = {each["name"]: each for each in revoker.json("console", "users", "list")["items"]}
    assert (listed["boris"]["role"], listed["boris"]["known_as"]) == ("viewer", ["boris@example.com"])
    text, mode = door.content()
    assert mode == 0o600
    assert PASSWORD not in text
    boris = await door.visitor()
    assert (await boris.sign_in("boris", f"{PASSWORD} of boris")).status == 303
    revoker.run("console", "users", "add", "boris", "--role", "operator", *given, *why, "--replace")
    assert not await boris.is_in
    assert (await boris.sign_in("boris", f"{PASSWORD} of boris")).status == 303
    revoker.run("console", "users", "remove", "boris", *why)
    assert not await boris.is_in
    assert (await boris.sign_in("boris", f"{PASSWORD} of boris")).status == 403
    actions = [each.action for each in audits(revoker.desk.ledger)]
    assert sorted(actions) == ["console.users.add", "console.users.remove", "console.users.replace"]


async def test_a_hash_of_old_parameters_is_renewed_at_the_next_sign_in(door: Door) -> None:
    """And the session, which began before that, stands."""
    old = Argon2id(salt=b"0123456789abcdef", length=32, iterations=1, lanes=1, memory_cost=64)
    door.user("boris", "viewer", password=old.derive_phc_encoded(PASSWORD.encode()))
    visitor = await (await door.open()).somebody("boris")
    assert not passwords.is_outdated(read_users(door.file)["boris"].password)
    assert await visitor.is_in


async def test_a_user_disabled_ends_the_sessions_of_that_operator(door: Door) -> None:
    """Known by the user name or by another name of theirs, however spelt; nobody else's, and by no other event."""
    await door.open()
    olga, viktor = await door.somebody(), await door.somebody("viktor")
    recorded(door.installation, "session.ended", "olga@example.com", "viktor")
    recorded(door.installation, "user.disabled", "somebody@example.com")
    assert [await each.is_in for each in (olga, viktor)] == [True, True]
    long_ago = datetime.now(UTC) - timedelta(days=3)  # by the clock of whoever took it in: it does not count
    recorded(door.installation, "user.disabled", "OLGA@EXAMPLE.COM", at=long_ago)
    assert [await each.is_in for each in (olga, viktor)] == [False, True]
    recorded(door.installation, "user.disabled", "viktor")
    assert not await viktor.is_in


async def test_who_was_disabled_cannot_sign_in_before_an_operator_says_so(door: Door) -> None:
    """Their password is right, and they are out; a later user.enabled, or being added anew, lets them in again."""
    door.user("olga", "operator", "olga@example.com", added=timedelta(minutes=1))
    await door.open()
    recorded(door.installation, "user.disabled", "olga@example.com", at=datetime.now(UTC) - timedelta(hours=1))
    assert (await (await door.visitor()).sign_in()).status == 303  # it was before the user was added
    recorded(door.installation, "user.disabled", "olga@example.com")
    refused = await (await door.visitor()).sign_in()
    assert "was disabled by an event" in refused.fault
    recorded(door.installation, "user.enabled", "olga@example.com")
    assert (await (await door.visitor()).sign_in()).status == 303
    recorded(door.installation, "user.disabled", "olga")
    assert (await (await door.visitor()).sign_in()).status == 403


async def test_an_open_stream_ends_with_its_session(door: Door) -> None:
    """Within five seconds, whatever ended it."""
    visitor: Visitor = await (await door.open()).somebody()
    async with visitor.session.get(f"{door.url}/live") as stream:
        await asyncio.wait_for(_until(stream.content.readline, b"event: hello"), 5)
        recorded(door.installation, "user.disabled", "olga")
        await asyncio.wait_for(_until(stream.content.readline, b"event: ended"), 5)
        assert await asyncio.wait_for(stream.content.read(), 5) == b"data: \n\n"


async def test_a_session_ends_in_time_while_every_page_takes_long(door: Door) -> None:
    """Who is signed in is not asked behind what pages wait for: a provider, say, that does not answer a check."""
    visitor = await (await door.open()).somebody()
    is_over = threading.Event()
    async with visitor.session.get(f"{door.url}/live") as stream:
        pages = [asyncio.ensure_future(door.desk.ask(is_over.wait, 20)) for _ in range(2 * THREADS)]
        await asyncio.wait_for(_until(stream.content.readline, b"event: hello"), 5)
        recorded(door.installation, "user.disabled", "olga")
        await asyncio.wait_for(_until(stream.content.readline, b"event: ended"), 5)
        assert (await visitor.get("/letters")).status == 303
        is_over.set()
        await asyncio.gather(*pages)


async def test_a_stream_that_is_opened_too_late_is_told_that_the_session_is_over(door: Door) -> None:
    """A browser tells its page no status: what is refused would be asked for again and again by a page that stays."""
    visitor = await (await door.open()).somebody()
    recorded(door.installation, "user.disabled", "olga")
    told = await visitor.get("/live", Accept="text/event-stream", Sec_Fetch_Mode="cors")
    assert (told.status, told.text) == (200, "event: ended\ndata: \n\n")
    for path in ("/causes/check?reason=http", "/providers/genesys/check"):
        assert (await visitor.get(path)).place.startswith("/sign-in?next=")


async def _until(readline: Callable[[], Any], wanted: bytes) -> None:
    while (await readline()).strip() != wanted:
        pass
