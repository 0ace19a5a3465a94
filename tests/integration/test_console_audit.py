"""The console's pages of the audit: a list that can be filtered and paged, and what the last look at it found."""

import asyncio
import shlex
from dataclasses import replace

from cli_installation import Installation
from console_browser import Start
from ledger_records import after, entry
from sqlalchemy import insert
from tamperings import changed, committed, executed, removed, write

from worker.console.audit_pages import PAGE
from worker.console.sign_in.roles import Role
from worker.database.tables import audits as earlier

pytest_plugins = ["console_fixtures"]

HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 2000


async def test_changes_are_listed_by_a_filter_that_stands_in_the_address(
    installation: Installation, console: Start
) -> None:
    """The newest first; the printed command finds the same; texts of others stay text."""
    ledger = installation.desk.ledger
    write(ledger, 1, 2)
    ledger.audit(replace(entry("dead-letter.discard"), actor=HOSTILE, reason=HOSTILE, result=HOSTILE, at=after(9)))
    browser = await console(Role.VIEWER)
    rows = (await browser.get("/audit")).page.one("tbody").all("tr")
    assert [row.one("span", class_="nowrap").text for row in rows] == ["dead-letter.discard", "action.2", "action.1"]
    shown = await browser.get("/audit?actor=olga&action=action.2&since=9000d&until=")
    [row] = shown.page.one("tbody").all("tr")
    printed = shlex.split(shown.page.one("aside").all("code")[0].text)
    assert printed[1:] == ["audit", "list", "--actor", "olga", "--action", "action.2", "--since", "9000d"]
    [found] = (await asyncio.to_thread(installation.json, *printed[1:]))["items"]
    assert found["audit_id"].startswith(row.one("a").text)
    [again] = (await browser.get(row.one("a").attributes["href"])).page.one("tbody").all("tr")
    assert again.text == row.text
    assert "Nothing matches" in (await browser.get("/audit?actor=nobody")).text
    for wrong, says in (("since=soon", "since: a moment looks like"), ("after=x", "after: not the end of a page")):
        assert says in (await browser.get(f"/audit?{wrong}", 400)).page.one("p", class_="fault").text


async def test_each_change_stands_on_one_page_of_the_audit(installation: Installation, console: Start) -> None:
    """Whatever the clocks of those who wrote, and those outside the chain as well."""
    ledger = installation.desk.ledger
    write(ledger, *range(1, PAGE + 11))
    ledger.audit(replace(entry("late"), at=after(3)))
    told = {"actor": "boris", "action": "outside", "scope": "", "reason": "", "count": 1, "result": ""}
    rows = [{"audit_id": f"old-{number}", "at": after(number), **told} for number in range(5, 2 * PAGE, 5)]
    committed(ledger, lambda connection: connection.execute(insert(earlier), rows))
    browser = await console()
    path, found = "/audit?until=1s", list[str]()
    while path:
        page = (await browser.get(path)).page
        found += [each.one("a").attributes["href"] for each in page.one("tbody").all("tr")]
        path = next((each.attributes["href"] for each in page.all("a", rel="next")), "")
    assert len(found) == len(set(found)) == PAGE + 11 + len(rows)


async def test_the_audit_is_verified_from_its_page(installation: Installation, console: Start) -> None:
    """A viewer may ask; the page names each entry that was changed, is missing or was moved."""
    ledger = installation.desk.ledger
    write(ledger, *range(1, 10))
    browser = await console(Role.VIEWER)
    assert "Not verified yet" in (await browser.get("/audit")).text
    whole = await browser.post("/audit/verify", [])
    assert whole.path == "/audit/verified"
    assert "Whole: 9 entries" in whole.page.one("p", class_="verdict good").text
    assert "Whole: 9 entries" in (await browser.get("/audit")).text
    committed(ledger, removed(2, 3))
    committed(ledger, changed(5, "reason", "another"))
    committed(ledger, executed("UPDATE audit_entries SET number = 70 WHERE number = 7"))
    told = (await browser.post("/audit/verify", [])).page
    assert "Not as it was written" in told.one("p", class_="verdict bad").text
    faults = [row.text for row in told.one("tbody").all("tr")]
    assert any(each.startswith("2 to 3") and "missing" in each for each in faults)
    assert any(each.startswith("5") and "changed" in each for each in faults)
    assert any(each.startswith("7") and "missing" in each for each in faults)
    assert any(each.startswith("70") for each in faults)
