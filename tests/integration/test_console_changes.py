"""Changes at the web console: planned, confirmed and told, on a real ledger and a real broker."""

import asyncio

from cli_installation import Installation
from console_browser import Fields, Start
from console_plans import confirmed, states, stopped
from replay_desk import call_in, dead_call, dead_unit
from test_cli_flood import held, opened

from worker.ledger import DeadLetterState
from worker.operations import holds

pytest_plugins = ["console_fixtures"]


async def test_a_replay_is_planned_confirmed_and_told(installation: Installation, console: Start) -> None:
    """What runs is what was read: what died since the plan stays, and a plan runs once."""
    letters = [dead_call() for _ in range(3)]
    installation.desk.fill(*letters)
    browser = await console()
    plan = await browser.post("/plan/replay", [("scope", "all"), ("rate", "1000/s"), ("canary", ""), ("failures", "")])
    late = dead_call()
    installation.desk.fill(late)
    refused = await browser.post(plan.path, [("hash", "another"), ("reason", "x")], 422)
    assert "not the plan that you read" in refused.page.one("p", class_="fault").text
    await browser.post(plan.path, [*plan.page.one("form", class_="panel").fields()[:1], ("reason", " ")], 422)
    assert states(installation) == [DeadLetterState.DEAD] * 4
    result = await stopped(browser, plan)
    assert "replayed" in result.page.one("dl", class_="sum").text
    calls = sorted(call_in(each)["call_id"] for each in installation.desk.replayed())
    assert calls == sorted(each.call.call_id for each in letters if each.call)
    assert installation.desk.row(late).state is DeadLetterState.DEAD


async def test_a_replay_outlives_the_console_that_ran_it(installation: Installation, console: Start) -> None:
    """It is a job: another console finds it where it stands, and runs the rest, no row twice."""
    letters = [dead_call() for _ in range(3)]
    installation.desk.fill(*letters)
    browser = await console()
    plan = await browser.post("/plan/replay", [("scope", "all"), ("rate", "1000/s"), ("canary", "1"), ("failures", "")])
    await stopped(browser, plan)
    other = await console()
    listed = (await other.get("/jobs")).page.one("tbody").one("a")
    job = await other.get(listed.attributes["href"])
    assert "interrupted" in job.page.one("div", class_="notice").text
    form = job.page.one("form", class_="actions").fields()
    rest = await other.post("/plan/job", [*form, ("verb", "stop")])
    assert (await confirmed(other, rest)).path == rest.path
    assert states(installation).count(DeadLetterState.REPLAYED) == 1
    refused = await other.post("/plan/job", [*form, ("verb", "resume")])
    await other.post(refused.path, [*refused.page.one("form", class_="panel").fields()[:1], ("reason", "again")])
    await asyncio.sleep(0.5)
    assert "what remains needs another plan" in (await other.get(refused.path)).page.one("p", class_="fault").text


async def test_what_cannot_be_undone_needs_a_word(installation: Installation, console: Start) -> None:
    """The number is typed; of the marked rows only those go, and a tombstone tells who and why."""
    rows = installation.desk.fill(*[dead_call() for _ in range(3)])
    browser = await console()
    marked: Fields = [("id", row.dead_letter_id) for row in rows[:2]]
    plan = await browser.post("/plan/discard", [*marked, ("scope", "marked"), ("back", "/letters?reason=http")])
    form = plan.page.one("form", class_="panel").fields()[:1]
    refused = await browser.post(plan.path, [*form, ("reason", "gone"), ("word", "3")], 422)
    assert "type 2" in refused.page.one("p", class_="fault").text
    result = await confirmed(browser, plan, word="2")
    assert result.page.one("a", class_="button first").attributes["href"] == "/letters?reason=http"
    assert sorted(states(installation)) == sorted([*[DeadLetterState.DISCARDED] * 2, DeadLetterState.DEAD])
    assert str(installation.desk.ledger.dead_letter(rows[0].dead_letter_id).audit_id) in result.text


async def test_a_cause_is_checked_and_planned_for(installation: Installation, console: Start) -> None:
    """What mends it, whether that holds now, and the plan for all that died of it and of nothing else."""
    installation.desk.fill(*[dead_call() for _ in range(2)], dead_unit())
    browser = await console()
    page = (await browser.post("/causes/check", [])).page
    assert "not yet" in page.one("table").text  # nobody listens where the providers are said to be
    row = next(each for each in page.one("tbody").all("tr") if "http.5xx" in each.text)
    plan = await browser.post("/plan/replay", row.one("form").fields())
    assert plan.page.one("h1").text == "Replay 2 dead letters"


async def test_a_provider_is_held_and_released(installation: Installation, console: Start) -> None:
    """With the operator's name and reason, as on the command line."""
    browser = await console()
    plan = await browser.post("/plan/hold", [("provider", "genesys"), ("span", "15m"), ("scope", "all")])
    assert "revoker provider hold genesys --for 15m --scope all" in plan.page.one("pre").text
    await confirmed(browser, plan)
    [hold] = holds.in_force(installation.desk.ledger)
    assert (hold.provider, hold.owner, hold.reason) == ("genesys", "olga", "provider is back")
    assert "held" in (await browser.get("/providers")).page.one("table").text
    await confirmed(browser, await browser.post("/plan/release", [("provider", "genesys")]))
    assert not holds.in_force(installation.desk.ledger)


async def test_a_flood_is_released_and_discarded(installation: Installation, console: Start) -> None:
    """It ends; a part may be let go first, and the rest is given up by its number."""
    installation.desk.fill(*[held(number) for number in range(4)])
    opened(installation)
    browser = await console()
    flood = (await browser.get("/floods")).page.one("input", name="flood").attributes["value"]
    first = await browser.post("/plan/flood-release", [("flood", flood), ("limit", "1"), ("rate", "1000/s")])
    await confirmed(browser, first)
    assert states(installation).count(DeadLetterState.REPLAYED) == 1
    await confirmed(browser, await browser.post("/plan/flood-discard", [("flood", flood)]), word="3")
    assert states(installation).count(DeadLetterState.DISCARDED) == 3
