"""Plans of the console, confirmed by a browser without script, and what became of dead letters by them."""

import asyncio
from collections.abc import Callable

from cli_installation import Installation
from console_browser import Answer, Browser
from html_check import Element
from replay_desk import EVERY

from worker.ledger import DeadLetterState


def states(installation: Installation) -> list[DeadLetterState]:
    """How each dead letter stands."""
    return [row.state for row in installation.desk.ledger.dead_letters(EVERY)]


async def confirmed(browser: Browser, plan: Answer, **fields: str) -> Answer:
    """The result of a plan that somebody confirms."""
    form = plan.page.one("form", class_="panel")
    await browser.post(plan.path, [*form.fields()[:1], ("reason", "provider is back"), *fields.items()])
    return await _shown(browser, plan, lambda page: "3. result" in page.one("li", **{"aria-current": "step"}).text)


async def stopped(browser: Browser, plan: Answer) -> Answer:
    """Confirm twice: the second time changes nothing. Nobody says what became of the calls: it is stopped."""
    form = plan.page.one("form", class_="panel")
    for _ in range(2):
        await browser.post(plan.path, [*form.fields()[:1], ("reason", "provider is back")])
    await _shown(browser, plan, lambda page: any(each.attributes["value"] != "0" for each in page.all("progress")))
    await browser.post(f"{plan.path}/stop", [])
    return await _shown(browser, plan, lambda page: bool(page.all("dl", class_="sum")))


async def _shown(browser: Browser, plan: Answer, what: Callable[[Element], bool]) -> Answer:
    """The page of the plan, once it shows *what*."""
    for _ in range(100):
        answer = await browser.get(plan.path)
        if what(answer.page):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(answer.text)
