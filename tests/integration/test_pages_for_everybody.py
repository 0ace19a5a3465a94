"""Every page of the console in Chromium, in every state: nobody is kept out by what they see, hear or type with."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from chromium_desk import DeskAtWork, Tab
from page_checks import Checked
from playwright.sync_api import expect
from replay_desk import EVERY, OLGA, as_made, dead_call, dead_unit, told
from test_cli_flood import HR, TYPE, held

from tasks.outcome import State
from worker.calls.holds.hold import Scope
from worker.intake.flood import store
from worker.intake.flood.window import Flood, Pending
from worker.ledger import Operator, Pace
from worker.operations import four_eyes, holds, jobs
from worker.operations.replay import ReplaySettings
from worker.operations.replay_plan import ReplayPages
from worker.operations.replay_rules import ReplayPlan
from worker.settings import Settings
from worker.settings.files import CONFIG_FILE

pytest_plugins = ["chromium_fixtures"]

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\u202egro.live\u2066\u200b",
    "\x1b]0;owned\x07\x1b[2J",
    "x" * 8000,
)
LISTS = ("/", "/causes", "/letters", "/floods", "/providers", "/jobs", "/audit", "/settings")


def filled(desk: DeskAtWork) -> list[str]:
    """Have every list hold something, and texts that mean harm among it; the pages that are about one thing."""
    ledger = desk.system.ledger
    letters = [dead_call(subject=each[:2048], source=each[:512], event_id=each[:128]) for each in HOSTILE]
    ledger.record([as_made(each) for each in (*letters, dead_call(), dead_unit(), held(1))])
    flood = Flood(HR, TYPE, 1.7e9, 1.7e9)
    with ledger.database.writing() as connection:
        store.save(connection, Pending(floods={flood.key: flood}))
    for name, why in zip(("genesys", "finbourne"), HOSTILE[::3], strict=False):
        operator = Operator(OLGA.name, why[:2000])
        holds.place(ledger, holds.planned(name, Scope.ALL, timedelta(hours=1), operator), operator)
    ledger.record([told(letters[-1], State.ALREADY_REVOKED, detail={"evidence": "401 bad.credentials"})])
    rows = ledger.dead_letters(replace(EVERY, ids=tuple(each.dead_letter_id for each in letters[:2])))
    plan, somebody = ReplayPages(lambda: [ReplayPlan(tuple(rows), ())], HOSTILE[0]), Operator(HOSTILE[1], HOSTILE[0])
    asked = jobs.plan(ReplaySettings.of(Settings.load()), ledger, plan, Pace(1.0), somebody).job
    assert asked is not None
    four_eyes.ask(ledger, asked, len(rows), somebody)
    found = [f"/letters/{each.dead_letter_id}" for each in letters]
    events = [f"/event?id={each.event_id}" for each in letters[-2:]]
    return [*found, *events, "/providers/genesys", f"/jobs/{asked.job_id}"]


def plans(desk: DeskAtWork, tab: Tab) -> list[str]:
    """Plan each kind of change; where the plans are, and the job of the replay."""
    found = []
    for path, button in (
        ("/letters", "Plan replay of all"),
        ("/letters", "Plan discard of all"),
        ("/providers/genesys", "Plan hold"),
        ("/providers/genesys", "Plan release"),
        ("/floods", "Plan release"),
        ("/floods", "Plan discard"),
    ):
        tab.open(path)
        tab.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        tab.button(button).first.click()
        tab.page.wait_for_url("**/plans/*")
        found.append(tab.page.url.removeprefix(desk.url))
    tab.open("/jobs")
    return [*found, str(tab.page.locator("tr[data-row] a").first.get_attribute("href"))]


@pytest.mark.timeout(300)
def test_every_page_can_be_used_by_everybody(
    idle_desk: DeskAtWork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty, full, of texts that mean harm, of an error, with the ledger away: valid, readable, and as wide as it is.

    By axe in both themes and html-validate; at 1280 and 390 px, and at 200 %.
    """
    checked, tab = Checked(), idle_desk.tab()
    checked.look(idle_desk.tab(None), "/sign-in")
    for path in LISTS:
        checked.look(tab, path)
    monkeypatch.setenv(CONFIG_FILE, idle_desk.system.env[CONFIG_FILE])
    pages = filled(idle_desk)
    for path in (*LISTS, *pages, *plans(idle_desk, tab)):
        checked.look(tab, path)
    tab.page.locator("#find").fill("y" * 8000)
    tab.button("Find").click()
    expect(tab.page.locator(".verdict")).to_be_visible()
    checked.look(tab, tab.page.url.removeprefix(idle_desk.url))
    tab.open("/causes")
    tab.button("Check").click()
    tab.page.wait_for_url("**/causes/check")
    checked.look_at(tab, "/causes/check", tab.page.content())
    for path, status in (("/letters/none", 404), ("/letters?since=yesterday", 400), ("/plans/gone", 410)):
        checked.look(tab, path, status)
    with_rows = idle_desk.tab("victor")
    with_rows.open("/letters")
    with_rows.refused |= {f"{idle_desk.url}{path}" for path in ("/live", "/letters")}
    take_the_ledger_away(idle_desk)
    expect(with_rows.page.locator("#news")).to_contain_text("shows what it had", timeout=20_000)
    assert with_rows.page.locator("tr[data-row]").count() > 1
    checked.look(tab, "/letters", 503)
    checked.validate(tmp_path)
    assert not checked.faults, "\n".join(checked.faults)
    idle_desk.close_tabs()


def take_the_ledger_away(desk: DeskAtWork) -> None:
    """As a disk does that is no longer mounted."""
    desk.system.close()
    for file in desk.system.home.glob("ledger.sqlite3*"):
        file.unlink()
