"""The look through Okta's System Log, over HTTP: it finds what a hook left out, under the same name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from door_arrivals import arrival
from in_one_test import in_one_test
from okta_samples import DEACTIVATED, SESSION_ENDED
from pydantic import ValidationError
from test_graph_pull import no_keys

from tasks.doors.okta_event_hook import OktaEventHook, Settings
from tasks.doors.okta_system_log import PAGE, OktaSystemLog
from tasks.doors.pull import PullFailed, Reach
from tasks.providers.http import Edge, open_session
from worker.doors.sweeping.main import BODY_CAP

NOW: Final = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
ISSUER: Final = "https://example.okta.com"
ONE: Final = json.loads(DEACTIVATED)


class Organization:
    """Okta's System Log: pages by their token, the first one without."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[web.Request] = []
        self.url, self.then = "", "{url}/api/v1/logs?after=%s"

    async def logs(self, request: web.Request) -> web.Response:
        """Give a page."""
        self.asked.append(request)
        log_events, then = self.pages[request.query.get("after", "")]
        if isinstance(log_events, int):
            return web.Response(status=log_events, headers={"X-Rate-Limit-Reset": "0", "Retry-After": "9"})
        links = [f'<{self.url}/api/v1/logs?limit=20>; rel="self"']
        links += [f'<{self.then.format(url=self.url) % then}>; rel="next"'] if then else []
        response = web.json_response(log_events)
        for each in links:
            response.headers.add("Link", each)
        return response


@asynccontextmanager
async def looking(**settings: Any) -> AsyncIterator[tuple[Organization, OktaSystemLog, Settings]]:
    """An organization, and a door that looks through its log."""
    organization = Organization()
    app = web.Application()
    app.router.add_get("/api/v1/logs", organization.logs)
    async with TestServer(app) as server, open_session() as session:
        organization.url = f"http://127.0.0.1:{server.port}"
        written = {"kind": "okta-event-hook", "subject_issuer": ISSUER, "bearer_file": "/secret", "api_token": "00tok"}
        made = Settings.model_validate({**written, "organization": organization.url, **settings})
        yield organization, OktaSystemLog(made, Reach(Edge(session, 5.0, BODY_CAP), no_keys)), made


async def test_a_log_event_is_the_same_event_by_the_hook_and_by_a_look() -> None:
    """So the one is known where the other came; what a hook left out after failures is found (#5195)."""
    async with looking() as (organization, log, settings):
        organization.pages = {"": ([], "p1"), "p1": ([ONE, {**ONE, "uuid": None}, 7], "p2"), "p2": ([], "p2")}
        first = await log.pull(None, NOW)
        assert (first.events, first.more) == ((), False)
        query = organization.asked[0].query
        assert (query["since"], query["sortOrder"], "until" in query) == (
            "2026-11-27T12:00:00.000Z",
            "ASCENDING",
            False,
        )
        assert 'eventType eq "user.lifecycle.deactivate" or ' in query["filter"]
        assert "user.session.end" not in query["filter"]
        assert organization.asked[0].headers["Authorization"] == "SSWS 00tok"
        found = await log.pull(first.cursor, NOW)
        delivery = json.dumps({"data": {"events": [ONE]}}).encode()
        [pushed] = OktaEventHook(settings).judge(arrival(delivery)).events
        assert [each.body(ISSUER) for each in found.events] == [pushed.body(ISSUER)]
        assert (await log.pull(found.cursor, NOW)).cursor == found.cursor


async def test_a_full_page_is_followed_at_once() -> None:
    """And the ends of sessions are asked for where they end a whole user."""
    async with looking(ends_whole_user=True) as (organization, log, _):
        organization.pages = {"": ([json.loads(SESSION_ENDED)] * PAGE, "p1")}
        found = await log.pull(None, NOW)
        assert found.more
        assert len(found.events) == PAGE
        assert "user.session.end" in organization.asked[0].query["filter"]


@pytest.mark.parametrize(
    ("page", "then", "why"),
    [
        (([], None), "{url}/api/v1/logs?after=%s", "reply.bad"),
        (({}, "p"), "{url}/api/v1/logs?after=%s", "reply.bad"),
        (([], "p"), "https://attacker.example.com/api/v1/logs?after=%s", "reply.bad"),
        ((429, "p"), "{url}/api/v1/logs?after=%s", "http.429"),
        ((401, "p"), "{url}/api/v1/logs?after=%s", "auth.unauthorized"),
    ],
)
async def test_a_page_that_leads_nowhere_or_elsewhere_changes_nothing(page: Any, then: str, why: str) -> None:
    """Our token is not sent there."""
    async with looking() as (organization, log, _):
        organization.pages, organization.then = {"": page}, then
        with pytest.raises(PullFailed) as failed:
            await log.pull(None, NOW)
        assert failed.value.reason == why


@in_one_test
@pytest.mark.parametrize("settings", [{"organization": ISSUER}, {"api_token": "00tok"}])
def test_the_look_needs_both_a_place_and_a_token(settings: dict[str, str]) -> None:
    """Without either the log is not looked at."""
    bare = {"kind": "okta-event-hook", "subject_issuer": ISSUER}
    assert not Settings.model_validate(bare).is_swept
    with pytest.raises(ValidationError, match="set organization and api_token"):
        Settings.model_validate(bare | settings)
