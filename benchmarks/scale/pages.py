"""Every page of the console, at what a large ledger has to show."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from benchmarks.scale.settings import SETTINGS
from benchmarks.scale.world import DISABLED_OFTEN, LOGGED_OUT_OFTEN, PROVIDERS, TENANT, World
from worker.console.names import Names
from worker.ledger import DeadLetterFilter, Ledger

_NO_NEWS: Final = ("settings",)  # pages that are not renewed


def pages(world: World, ledger: Ledger) -> dict[str, str]:
    """The address of each page, by its name."""
    names, event = Names.of(SETTINGS), world.event(world.size // 3 + 1)
    somebody = names.sealed(world.person(event.person).email)
    [cause, *_] = ledger.dead_letter_causes(DeadLetterFilter(limit=1))
    [job] = ledger.jobs(1)
    heavy = (names.sealed(world.person(each).email) for each in (DISABLED_OFTEN, LOGGED_OUT_OFTEN))
    often, logins = (f"/person/{each}" for each in heavy)
    return {
        "now": "/",
        "now, over a week": "/?over=week",
        "causes": "/causes",
        "causes of a provider": f"/causes?provider={PROVIDERS[0]}",
        "dead letters": "/letters",
        "dead letters of a provider": f"/letters?provider={PROVIDERS[0]}",
        "dead letters of a cause": f"/letters?cause={cause.cause}",
        "dead letters of a person": f"/letters?{urlencode({'person': somebody})}",
        "one dead letter": f"/letters/{cause.example}",
        "jobs": "/jobs",
        "one job": f"/jobs/{job.job_id}",
        "person": f"/person/{somebody}",
        "person: 5000 calls, disabled often": often,
        "person: 5000 calls, mostly logins": logins,
        "person: a tenant": f"/person/{names.sealed(TENANT)}",
        "event": f"/event?{urlencode({'id': event.event_id, 'source': event.source})}",
        "floods": "/floods",
        "providers": "/providers",
        "one provider": f"/providers/{PROVIDERS[0]}",
        "audit": "/audit",
        "settings": "/settings",
    }


def with_news(pages: dict[str, str]) -> list[str]:
    """The addresses of those that an open tab renews."""
    return [path for name, path in pages.items() if name not in _NO_NEWS]
