"""What each page of the console prints to type for the same: whoever types it gets what the page shows."""

import asyncio
import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_installation import Installation
from console_browser import Answer, Fields, Start
from html_check import Element
from replay_desk import dead_call, dead_unit
from test_cli_flood import held, opened

from tasks.records import DeadLetter
from worker.console.app import ROUTES
from worker.ledger import JobState
from worker.operations import holds
from worker.settings import Settings

pytest_plugins = ["console_fixtures"]

ADA = "-ada@example.com"  # a name that could be taken for an option
WHY = ("--reason", "provider is back", "--yes")
LISTS = {
    "/jobs": "dlq jobs list",
    "/causes": "dlq causes",
    "/causes?reason=http&provider=finbourne": "dlq causes",
    "/letters?reason=http": "dlq list",
    "/letters?state=withheld&since=1h": "dlq list",
    "/providers": "provider list",
    "/floods": "flood list",
    "/audit": "audit list",
    "/audit?actor=olga&action=provider.hold&since=1h": "audit list",
    "/settings": "config show",
}
ONE = {"/", "/event", "/person/{sealed}", "/letters/{id}", "/jobs/{id}", "/providers/{name}", "/audit/verified"}
PLANNED = {"/plans/{id}", "/causes/check", "/providers/{name}/check"}  # that a form leads to
MUTE = {"/live"}


class Typist:
    """Types what a page prints."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def json(self, answer: Answer, begins: str, *more: str, code: int = 0) -> Any:
        """What the page's command that *begins* so answers as JSON, ending with *code*."""
        words, operands = _words(answer, begins)
        found = await asyncio.to_thread(self._installation.run, *words, *more, "-o", "json", *operands, code=code)
        return json.loads(found.stdout)

    async def told(self, answer: Answer, begins: str, *more: str) -> str:
        """What it tells people; the reason is theirs."""
        words = [word for word in _words(answer, begins)[0] if word not in ("--reason", "…")]
        return (await asyncio.to_thread(self._installation.run, *words, *WHY, *more)).output


def _words(answer: Answer, begins: str) -> tuple[Sequence[str], Sequence[str]]:
    """The words of the page's command that *begins* so, and those that are no options whatever they begin with."""
    printed = [each.text for each in answer.page.one("aside").all("code")]
    [found] = [each for each in printed if each.startswith(f"revoker {begins}")]
    words = shlex.split(found)[1:]
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at:]


@pytest.fixture
def typist(installation: Installation) -> Typist:
    """Somebody at the command line of the console's own installation."""
    return Typist(installation)


@pytest.fixture
def letters(installation: Installation) -> list[DeadLetter]:
    """Three calls about ada that died; there is a part of an event, a flood, and somebody's hold as well."""
    keys = tuple(Settings.load().subjects().everywhere(ADA))
    made = [dead_call(subject_keys=keys) for _ in range(3)]
    installation.desk.fill(*made, dead_unit(), held(1))
    opened(installation)
    installation.run("provider", "hold", "wibmo", *WHY)
    return made


def told(page: Element, class_: str) -> dict[str, str]:
    """The names of a page's figures or facts, and what it says of each."""
    return {
        name.text: value.text.strip()
        for each in page.all("dl", class_=class_)
        for name, value in zip(each.all("dt"), each.all("dd"), strict=True)
    }


def rows(page: Element, caption: str) -> list[list[str]]:
    """The cells of each row of the table with this caption."""
    [table] = [each for each in page.all("table") if each.one("caption").text.startswith(caption)]
    return [[cell.text.strip() for cell in row.all("th", "td")] for row in table.one("tbody").all("tr")]


def test_every_page_is_compared_below() -> None:
    """A page that is added prints a command, which is compared as well."""
    routes = [each for part in ROUTES for each in part if getattr(each, "method", "") == "GET"]
    assert {each.path for each in routes} == {path.partition("?")[0] for path in LISTS} | ONE | PLANNED | MUTE


async def test_a_list_has_the_rows_that_its_command_finds(
    letters: list[DeadLetter], console: Start, typist: Typist
) -> None:
    """With the filter of its address, and the person whom that seals."""
    browser = await console()
    await browser.post("/plan/replay", [("scope", "all")])
    of_ada = (await browser.post("/letters", [("subject", ADA)])).path
    for path, begins in {**LISTS, of_ada: "dlq list"}.items():
        answer = await browser.get(path)
        found = await typist.json(answer, begins)
        shown = [row for body in answer.page.all("tbody") for row in body.all("tr")]
        assert len(found["items"]) == len(shown), path
    assert len(shown) == len(letters)


async def test_the_first_page_has_the_figures_of_its_commands(
    letters: list[DeadLetter], console: Start, typist: Typist
) -> None:
    """Exposure, providers, floods and causes."""
    answer = await (await console()).get("/?over=hour")
    figures = told(answer.page, "sum")
    now, hour = (await typist.json(answer, "exposure"))["overall"][:2]
    assert (figures["exposed now"], now["calls"]) == (str(len(letters)), len(letters))
    assert figures["budget burns"].split()[0] == f"{hour['burn']:.1f}"
    assert figures["dead letters"] == str((await typist.json(answer, "dlq causes"))["matching"])
    floods = (await typist.json(answer, "flood list"))["items"]
    assert figures["held back by floods"] == str(sum(each["held"] for each in floods))
    cards = [each.text.split() for each in answer.page.all("h3")]
    providers = [[each["name"], each["state"]] for each in (await typist.json(answer, "provider list"))["items"]]
    assert cards == [*providers, *[[each["event_type"], "held"] for each in floods]]


async def test_a_person_and_an_event_are_explained_alike(
    letters: list[DeadLetter], console: Start, typist: Typist
) -> None:
    """The verdict, each provider, each part; whatever the name begins with."""
    browser = await console()
    event = f"/event?id={letters[0].event_id}"
    for answer in (
        await browser.post("/find", [("q", ADA)]),
        await browser.get(event),
        await browser.get(f"{event}&source=urn:test"),
    ):
        found = await typist.json(answer, "explain", code=1)
        assert answer.page.one("div", class_="verdict bad").text == found["verdict"]
        parts = [[each["provider"], each["state"]] for each in found["items"]]
        assert [row[:2] for row in rows(answer.page, "Where each part stands")] == parts
    assert len(parts) == 1


async def test_one_letter_job_provider_and_audit_are_told_alike(
    letters: list[DeadLetter], console: Start, typist: Typist
) -> None:
    """What the page says of it is what the command says."""
    browser = await console()
    answer = await browser.get(f"/letters/{letters[0].dead_letter_id}")
    letter, facts = await typist.json(answer, "dlq show"), told(answer.page, "facts")
    assert (facts["Reason"], facts["Cause"]) == (letter["reason"], letter["cause"])
    assert (await typist.json(answer, "dlq replay"))["ready"] == 1
    await browser.post("/plan/replay", [("scope", "all")])
    answer = await browser.get((await browser.get("/jobs")).page.one("tbody").one("a").attributes["href"])
    job, facts = await typist.json(answer, "dlq jobs show"), told(answer.page, "facts")
    assert (facts["Which"], facts["Plan"]) == (job["scope"], job["hash"][:16])
    assert told(answer.page, "sum")["remain"] == str(job["remaining"])
    assert sorted(row[2] for row in rows(answer.page, "Its dead")) == sorted(each["fate"] for each in job["groups"])
    answer = await browser.post("/audit/verify", [])
    found, facts = await typist.json(answer, "audit verify"), told(answer.page, "facts")
    assert (facts["Entries"], facts["Head"]) == (str(found["entries"]), found["head"])


@pytest.mark.usefixtures("letters")
async def test_what_is_checked_is_told_alike(console: Start, typist: Typist) -> None:
    """Of a provider, and of every cause that the filter finds: nobody listens where the providers are said to be."""
    browser = await console()
    answer = await browser.post("/providers/genesys/check", [])
    [checked] = (await typist.json(answer, "provider check", code=1))["items"]
    assert f"would fail now: {checked['told']}" in answer.page.one("div", class_="verdict bad").text
    for path, number in (("/causes", 2), ("/causes?provider=finbourne", 1)):
        form = (await browser.get(path)).page.one("form", class_="actions")
        answer = await browser.post(form.attributes["action"], [])
        found = (await typist.json(answer, "dlq causes"))["items"]
        shown = rows(answer.page, "What")
        for row, each in zip(shown, found, strict=True):
            assert row[-1].startswith({True: "mended", False: "not yet", None: "not known"}[each["now"]["holds"]])
        assert len(shown) == number


async def test_a_plan_is_what_its_command_would_do(letters: list[DeadLetter], console: Start, typist: Typist) -> None:
    """Which dead letters, of which providers and reasons; how many of a flood; how many of a job."""
    browser = await console()
    every: Fields = [("scope", "all")]
    for more in ([], [("subject", ADA), ("rate", "5/m")], [("reason", "http"), ("canary", "")]):
        answer = await browser.post("/plan/replay", [*every, *more])
        planned = await typist.json(answer, "dlq replay", "--dry-run")
        assert rows(answer.page, str(planned["ready"])) == _groups(planned["groups"])
    job = answer.page.one("main").one("dl", class_="facts").one("a").text
    answer = await browser.post("/plan/discard", every)
    planned = await typist.json(answer, "dlq discard", "--dry-run")
    assert rows(answer.page, str(len(letters) + 1)) == _groups(planned["items"])
    flood = (await browser.get("/floods")).page.one("input", name="flood").attributes["value"]
    for verb in ("release", "discard"):
        answer = await browser.post(f"/plan/flood-{verb}", [("flood", flood)])
        [planned] = (await typist.json(answer, f"flood {verb}", "--dry-run"))["items"]
        assert answer.page.one("h1").text.startswith(f"{verb.capitalize()} {planned['held']} held back")
    answer = await browser.post("/plan/job", [("job", job), ("verb", "resume")])
    remain = answer.page.one("h1").text.rpartition(" ")[2]
    assert f"{remain} remain" in await typist.told(answer, "dlq jobs resume", "--dry-run")


async def test_what_changes_is_changed_by_the_command_of_its_plan(
    installation: Installation, letters: list[DeadLetter], console: Start, typist: Typist
) -> None:
    """A hold, with its span and scope, and its end; a job that stops."""
    browser = await console()
    genesys = ("provider", "genesys")
    await typist.told(
        await browser.post("/plan/hold", [genesys, ("span", "90m"), ("scope", "worker")]), "provider hold"
    )
    [hold] = [each for each in holds.in_force(installation.desk.ledger) if each.provider == "genesys"]
    assert hold.scope.value == "worker"
    assert hold.until is not None
    assert abs(hold.until - datetime.now(UTC) - timedelta(minutes=90)) < timedelta(minutes=1)
    await typist.told(await browser.post("/plan/release", [genesys]), "provider release")
    assert "genesys" not in [each.provider for each in holds.in_force(installation.desk.ledger)]
    answer = await browser.post("/plan/replay", [("id", letters[0].dead_letter_id), ("scope", "marked")])
    job = answer.page.one("main").one("dl", class_="facts").one("a").text
    await typist.told(await browser.post("/plan/job", [("job", job), ("verb", "stop")]), "dlq jobs stop")
    assert installation.desk.ledger.job(job).state is JobState.STOPPED


def _groups(planned: Sequence[dict[str, Any]]) -> list[list[str]]:
    return [[each["provider"], each["reason"], str(each["count"])] for each in planned]
