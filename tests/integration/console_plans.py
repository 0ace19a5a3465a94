"""Plans of the console, confirmed by a browser without script, and what became of dead letters by them."""

import asyncio

from cli_installation import Installation
from console_browser import Answer, Browser
from replay_desk import EVERY

from worker.ledger import DeadLetterState


def states(installation: Installation) -> list[DeadLetterState]:
    """How each dead letter stands."""
    return [row.state for row in installation.desk.ledger.dead_letters(EVERY)]


async def confirmed(browser: Browser, plan: Answer, **fields: str) -> Answer:
    """The result of a plan that somebody confirms."""
    form = plan.page.one("form", class_="panel")
    await browser.post(plan.path, [*form.fields()[:1], ("reason", "provider is back"), *fields.items()])
    for _ in range(100):
        answer = await browser.get(plan.path)
        if "3. result" in answer.page.one("li", **{"aria-current": "step"}).text:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(answer.text)


async def stopped(browser: Browser, plan: Answer) -> Answer:
    """Confirm twice: the second time changes nothing. Nobody says what became of the calls: it is stopped."""
    form = plan.page.one("form", class_="panel")
    for _ in range(2):
        await browser.post(plan.path, [*form.fields()[:1], ("reason", "provider is back")])
    await asyncio.sleep(0.3)
    await browser.post(f"{plan.path}/stop", [])
    for _ in range(100):
        answer = await browser.get(plan.path)
        if answer.page.all("dl", class_="sum"):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(answer.text)
