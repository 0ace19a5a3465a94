"""The pages of the web console, asked by a browser without script, on a real ledger and a real broker."""

import asyncio
import re
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession
from cli_installation import SECRETS, Installation
from console_browser import Browser, Fields, Start
from console_plans import confirmed, states, stopped
from replay_desk import dead_call, dead_unit
from test_cli_flood import held, opened

from worker.console.sign_in.roles import Role
from worker.ledger import DeadLetterState, Ledger
from worker.operations import causes
from worker.settings import Settings

pytest_plugins = ["console_fixtures"]

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202egro.live\u2066\u200b", "x" * 2000)
PLANS = (
    "/plan/replay",
    "/plan/job",
    "/plan/discard",
    "/plan/hold",
    "/plan/release",
    "/plan/flood-release",
    "/plan/flood-discard",
)


async def test_every_page_is_sound_whatever_the_texts_hold(installation: Installation, console: Start) -> None:
    """Well-formed, each field named, each table with caption and scopes; texts of others stay text."""
    letters = [dead_call(subject=each, source=each[:60], event_id=each[:60]) for each in HOSTILE]
    installation.desk.fill(*letters, dead_unit(subject=HOSTILE[1]), held(1, HOSTILE[0]))
    browser = await console(name=HOSTILE[1])
    find = await browser.post("/find", [("q", HOSTILE[2])])
    event = next(each for each in (await browser.get("/letters")).page.all("a") if "/event?" in each.attributes["href"])
    paths = [
        "/",
        "/?over=week",
        "/letters",
        f"/letters/{letters[0].dead_letter_id}",
        "/providers",
        "/providers/genesys",
        "/floods",
        "/jobs",
        "/causes",
    ]
    answers = [await browser.get(path) for path in (*paths, "/settings", event.attributes["href"])]
    answers.append(await browser.post("/plan/replay", [("scope", "all")]))
    for answer in (*answers, find):
        scripts = [each.attributes.get("nonce") for each in answer.page.all("script")]
        policy = answer.headers["Content-Security-Policy"]
        assert scripts == [re.findall(r"'nonce-([^']+)'", policy)[0]] * 3
        assert "unsafe" not in policy
        assert not answer.page.all("img")
        assert not set("\u202e\u2066\u200b") & set(answer.text)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [secret for secret in SECRETS if secret in answer.text]


async def test_a_viewer_sees_everything_and_changes_nothing(installation: Installation, console: Start) -> None:
    """No page offers a change, and whoever asks for one all the same is refused."""
    [row, *_] = installation.desk.fill(dead_call(), held(1))
    opened(installation)
    browser = await console(Role.VIEWER)
    for path in ("/letters", f"/letters/{row.dead_letter_id}", "/providers/genesys", "/floods"):
        page = (await browser.get(path)).page
        buttons = [each.text for form in page.all("form") for each in form.all("button") if "lan" in each.text]
        assert not buttons
    for path in (*PLANS, "/providers/genesys/check", "/plans/none", "/plans/none/stop"):
        refused = await browser.post(path, [("scope", "all"), ("provider", "genesys"), ("span", "1h")], 403)
        assert "change nothing" in refused.page.one("p", class_="fault").text
    await browser.post("/causes/check", [], 403)
    assert DeadLetterState.CLAIMED not in states(installation)


async def test_what_is_filtered_stays_in_the_address_and_names_nobody(
    installation: Installation, console: Start
) -> None:
    """The filter survives plan and result; whom it names stands in the address sealed, and the same each time."""
    installation.desk.fill(dead_call(subject_keys=tuple(Settings.load().subjects().everywhere("ada@example.com"))))
    installation.desk.fill(dead_call())
    browser = await console()
    fields = [("reason", "http.5xx"), ("subject", "ada@example.com"), ("state", ""), ("provider", "")]
    shown = await browser.post("/letters", fields)
    assert re.fullmatch(r"/letters\?reason=http\.5xx&person=[\w-]+", shown.path)
    assert shown.path == (await browser.post("/letters", fields)).path
    assert "1 match" in shown.page.one("div", class_="actions").text
    form = shown.page.one("form", id="chosen")
    plan = await browser.post("/plan/replay", [*form.fields(), ("scope", "all")])
    assert plan.page.one("h1").text == "Replay 1 dead letter"
    result = await stopped(browser, plan)
    assert result.page.one("a", class_="button first").attributes["href"] == shown.path
    assert "ada" not in unescape(shown.path)


async def test_the_ledger_is_asked_for_all_causes_once_for_all_tabs(
    installation: Installation, console: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever changed something gets a new answer, and whoever filters one of their own."""
    marked: Fields = [("id", row.dead_letter_id) for row in installation.desk.fill(dead_call(), dead_call())]
    asked: list[object] = []
    find = causes.find

    def noted(*args: Any, **options: Any) -> causes.Causes:
        """Find them, and note that somebody asked."""
        asked.append(options)
        return find(*args, **options)

    monkeypatch.setattr(causes, "find", noted)
    monkeypatch.setattr("worker.console.shared.time", SimpleNamespace(monotonic=lambda: 0.0))
    browser = await console()
    pages = await asyncio.gather(*(browser.get("/causes") for _ in range(5)))
    assert len({tuple(row.text for row in each.page.all("tr")) for each in pages}) == 1
    assert len(asked) == 1
    await browser.get("/causes?provider=genesys")
    assert len(asked) == 2
    plan = await browser.post("/plan/discard", [*marked, ("scope", "marked")])
    await confirmed(browser, plan, word="2")
    after = (await browser.get("/causes")).page
    assert [row.text for row in after.all("tr")] != [row.text for row in pages[0].page.all("tr")]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/?over=year", 400, "over: "),
        ("/letters/none", 404, "no dead letter"),
        ("/letters?since=yesterday", 400, "since: a moment looks like"),
        ("/letters?state=alive", 400, "state: must be one of"),
        ("/letters?person=forged", 400, "look the person up again"),
        ("/letters?after=then", 400, "begin at the first"),
        ("/person/forged", 404, "look the person up again"),
        ("/event?id=", 400, "give the id"),
        ("/plans/gone", 410, "Plan it again"),
        ("/providers/none", 422, "no provider named none"),
        ("/nowhere", 404, ""),
        ("/letters?reason=nothing.at.all", 200, "Fewer conditions match more"),
        ("/event?id=none", 200, "no event has this id"),
    ],
)
async def test_what_is_not_there_says_what_to_do(console: Start, path: str, status: int, says: str) -> None:
    """An id that is none, a filter that matches nothing, a field that cannot be read, a plan that is over."""
    answer = await (await console()).get(path, status)
    assert says in answer.page.one("main").text


async def test_a_ledger_that_is_away_is_said(installation: Installation, console: Start) -> None:
    """With the status that leaves an open page as it is; the stream of news says it, too."""
    browser = await console()
    installation.desk.ledger.close()
    (installation.home / "ledger.sqlite3").unlink()
    answer = await browser.get("/letters", 503)
    assert "Nothing is lost" in answer.page.one("main").text
    assert await _first_news(browser) == "event: away"
    assert (await browser.get("/settings")).status == 200


async def test_the_stream_of_news_can_be_resumed(installation: Installation, console: Start) -> None:
    """Its ids are the ledger's changes: who missed none hears hello alone, who missed some hears at once."""
    browser = await console()
    installation.desk.fill(dead_call())
    newest = installation.desk.ledger.newest_change()
    assert await _first_news(browser) == f"id: {newest}"
    assert await _first_news(browser, "1") == f"id: {newest}"


async def _first_news(browser: Browser, seen: str | None = None) -> str:
    headers = {"Last-Event-ID": seen} if seen else {}
    async with ClientSession() as session, session.get(f"{browser.url}/live", headers=headers) as stream:
        assert stream.content_type == "text/event-stream"
        return (await asyncio.wait_for(stream.content.readline(), 5)).decode().strip()


async def test_another_name_and_another_file_are_refused(console: Start) -> None:
    """A foreign page whose name leads here is not of the console's origin; files are kept under their hash."""
    browser = await console()
    await browser.get("/", 421, Host="evil.example")
    await browser.get("/", 421, Host="127.0.0.1.evil.example:80")
    await browser.get("/static/0000000000000000/console.js", 404)
    script = (await browser.get("/")).page.all("script")[0].attributes["src"]
    assert "immutable" in (await browser.get(script)).headers["Cache-Control"]


async def test_pages_read_the_ledger_on_postgresql(
    installation: Installation, console: Start, postgres_url: str
) -> None:
    """The same pages, the same plan."""
    installation.set("ledger_url", postgres_url)
    ledger = Ledger.open(postgres_url)
    ledger.upgrade()
    ledger.record([dead_call(subject="pe…r@example.com")])
    ledger.close()
    browser = await console()
    for path in ("/", "/letters?reason=http.5xx&since=1h", "/providers", "/floods", "/event?id=e1"):
        await browser.get(path)
    plan = await browser.post("/plan/discard", [("scope", "all")])
    assert "1 dead letter" in plan.page.one("h1").text
