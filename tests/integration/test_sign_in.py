"""Signing in at the console by a password: real cookies, a real ledger, and everything that ends a session."""

import asyncio
import logging
import ssl
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from certificates import self_signed
from cli_installation import Installation
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from ledger_figures import audits
from sign_in_door import HASH, PASSWORD, Door, Visitor
from sqlalchemy import update

from tasks.records import EventPlanned
from worker.console.sign_in.by_password import WRONG
from worker.console.sign_in.delays import Delays
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


async def test_nobody_sees_anything_without_signing_in(door: Door) -> None:
    """A page leads to the door and back; a script and a form are told; the style of the door itself is open."""
    visitor = await (await door.open()).visitor()
    for path in ("/", "/letters?reason=http", "/settings", "/none", "/live"):
        reply = await visitor.get(path)
        assert (reply.status, reply.place.partition("?")[0]) == (303, "/sign-in")
    assert (await visitor.get("/settings", Sec_Fetch_Mode="cors")).status == 401
    assert "nothing was changed" in (await visitor.post("/plan/replay", {"scope": "all"})).text
    page = await visitor.get("/sign-in?next=/letters")
    assert 'name="next" value="/letters"' in page.text
    assert "/letters" not in page.text.replace('value="/letters"', "")  # no page is named to a stranger
    style = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert (await visitor.get(style)).status == 200


async def test_a_session_is_a_secret_of_the_browser_of_which_the_ledger_knows_the_hash(door: Door) -> None:
    """On loopback without TLS: HttpOnly, SameSite, no Secure that Safari would refuse; nothing is logged of it."""
    visitor = await (await door.open()).visitor()
    reply = await visitor.sign_in(next="/letters?reason=http")
    [cookie, *cleared] = reply.cookies
    assert (reply.status, reply.place) == (303, "/letters?reason=http")
    assert cookie.startswith("revoker-session=")
    assert cookie.partition(";")[2] == " HttpOnly; Path=/; SameSite=Lax"
    assert all("Max-Age=0" in each for each in cleared)
    secret = cookie.partition(";")[0].partition("=")[2]
    stored = b"".join(each.read_bytes() for each in door.installation.home.glob("ledger.sqlite3*"))
    assert secret.encode() not in stored
    assert len(secret) >= 43
    assert await visitor.is_in
    assert "olga" in (await visitor.get("/settings")).text


async def test_over_tls_the_cookie_is_bound_to_the_host(door: Door, tmp_path: Path) -> None:
    """`__Host-` and Secure; a cookie of the name without the prefix is not looked at."""
    server = self_signed(tmp_path)
    server.chmod(0o600)
    files = {"certificate_file": str(server), "key_file": str(server)}
    await door.open(**files)
    trusted = ssl.create_default_context(cafile=server)
    visitor = await door.visitor(trusted)
    [cookie, *_] = (await visitor.sign_in()).cookies
    assert cookie.startswith("__Host-revoker-session=")
    assert cookie.partition(";")[2] == " HttpOnly; Path=/; SameSite=Lax; Secure"
    assert await visitor.is_in
    secret = cookie.partition(";")[0].partition("=")[2]
    other = await door.visitor(trusted)
    assert (await other.get("/settings", Cookie=f"revoker-session={secret}")).status == 303


async def test_a_wrong_password_and_an_unknown_user_are_answered_alike(
    door: Door, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same words and the same work; the log names an account that exists, and nothing that was typed."""
    worked: list[str] = []

    def verify(key: bytes, phc: str) -> None:
        worked.append(phc)
        Argon2id.verify_phc_encoded(key, phc)

    monkeypatch.setattr(passwords, "Argon2id", type("Counting", (), {"verify_phc_encoded": staticmethod(verify)}))
    monkeypatch.setattr(passwords, "_of_nobody", lambda: HASH)
    visitor = await (await door.open()).visitor()
    with caplog.at_level(logging.INFO):
        replies = [await visitor.sign_in(name, "planted-wrong-password") for name in ("olga", "nobody-of-that-name")]
    assert [each.status for each in replies] == [403, 403]
    assert [each.fault for each in replies] == [WRONG, WRONG]
    assert not any(each.cookies and "revoker-session" in each.cookies[0] for each in replies)
    assert worked == [HASH, HASH]
    told = [each.__dict__ for each in caplog.records if each.message == "console.sign_in_refused"]
    assert [each["account"] for each in told] == ["olga", None]
    assert "nobody-of-that-name" not in str(told)
    assert "planted" not in str(told)


HOSTILE = ("\u202eagro\u2066", "x" * 8192, "\0", "<script>alert(1)</script>")
BODIES = (
    (b"name=%ED%A0%80&password=%00&next=%ff", "application/x-www-form-urlencoded", {403}),
    (b"name=%", "application/x-www-form-urlencoded; charset=no-such-coding", {400, 403}),
    (b"\xff\xfe", "application/x-www-form-urlencoded", {400, 403}),
    (b"--x", "multipart/form-data; boundary=x", {400, 403}),
    (b"{}", "application/json", {403}),
    (b"x" * 100_000, "application/x-www-form-urlencoded", {413}),
)


async def test_whatever_is_typed_is_refused_in_peace(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of 8 KB, that turn the direction, hold NUL, or are a file; bodies that are no form."""
    monkeypatch.setattr(Delays, "wait", lambda *_: 0.0)
    monkeypatch.setattr(passwords, "is_right", lambda *_: False)
    visitor = await (await door.open()).visitor()
    door_of = {"Sec-Fetch-Site": "same-origin"}
    for name in HOSTILE:
        data = {"name": name, "password": name, "next": name}
        async with visitor.session.post(f"{door.url}/sign-in", data=data, headers=door_of) as answer:
            assert answer.status in {400, 403}
            assert "<script>alert" not in await answer.text()
    form = FormData()
    form.add_field("name", b"olga", filename="olga")
    async with visitor.session.post(f"{door.url}/sign-in", data=form, headers=door_of) as answer:
        assert answer.status == 403
    for body, kind, statuses in BODIES:
        headers = door_of | {"Content-Type": kind}
        async with visitor.session.post(f"{door.url}/sign-in", data=body, headers=headers) as answer:
            assert answer.status in statuses, body


async def test_the_way_back_stays_in_the_console(door: Door) -> None:
    """No link to the door leads to another site once somebody signed in."""
    await door.open()
    for path in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
    ):
        visitor = await door.visitor()
        assert (await visitor.sign_in(next=path)).place == "/"


async def test_a_form_of_another_site_signs_nobody_in_or_out_and_changes_nothing(door: Door) -> None:
    """Fetch Metadata, else Origin; also for the door itself: nobody works in a session that a stranger began."""
    await door.open()
    stranger = await door.visitor()
    for site in ("cross-site", "same-site", "none"):
        fields = {"name": "olga", "password": PASSWORD}
        assert (await stranger.post("/sign-in", fields, Sec_Fetch_Site=site)).status == 403
    visitor = await door.somebody()
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "", "Origin": "null"}, {"Sec_Fetch_Site": ""}):
        for path in ("/plan/hold", "/sign-out", "/find"):
            assert "did not come from a page of the console" in (await visitor.post(path, None, **headers)).text
    assert await visitor.is_in
    old = await visitor.post("/sign-out", Sec_Fetch_Site="", Origin=door.url)
    assert (old.status, old.place) == (303, "/sign-in")


async def test_a_viewer_may_not_change_anything(door: Door) -> None:
    """The role is of the session, and the session of the users' file."""
    visitor = await (await door.open()).somebody("viktor")
    assert "change nothing" in (await visitor.post("/plan/replay", {"scope": "all"})).fault
    door.user("viktor", "operator")
    assert not await visitor.is_in


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


async def _until(readline: Callable[[], Any], wanted: bytes) -> None:
    while (await readline()).strip() != wanted:
        pass


async def test_a_console_that_nobody_can_sign_in_at_says_what_to_do(door: Door) -> None:
    """Before the first user is added; and a file that cannot serve is named."""
    door.users = {}
    door.write_users()
    visitor = await (await door.open()).visitor()
    assert "revoker console users add" in (await visitor.get("/sign-in")).text
    door.write("{}")
    broken = await visitor.get("/sign-in")
    assert (broken.status, "users.json" in broken.fault) == (422, True)
    assert door.content()[0] == "{}"
