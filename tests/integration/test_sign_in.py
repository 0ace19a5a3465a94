"""Signing in at the console by a password: real cookies, a real ledger."""

import logging
import ssl
from pathlib import Path

import pytest
from aiohttp import FormData
from certificates import self_signed
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sign_in_door import HASH, PASSWORD, Door

from worker.console.sign_in.by_password import WRONG
from worker.console.sign_in.delays import Delays
from worker.operations import passwords

pytest_plugins = ["sign_in_fixtures"]


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
