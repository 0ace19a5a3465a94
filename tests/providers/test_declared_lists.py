"""Kind `http`, in two steps: what a user has is listed, each item is a call of its own, and the empty list is proof."""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from calls import API_KEY, call
from declared_tables import declared, table
from fake_provider import FakeProvider
from in_one_test import in_one_test

from tasks.call import MAX_LISTED, Attempt
from tasks.outcome import CredentialFault, Listed, Permanent, Reason, Settled, State, Transient
from tasks.providers import kind_of
from tasks.providers.declared import REVOKE_LISTED, REVOKE_USER, HttpSettings
from tasks.providers.declared.lists import MAX_ITEMS, MAX_PAGES

WHOM = call(REVOKE_USER, "acme", user_id="4711")
LOOKED = WHOM.model_copy(update={"listed": ("c-1",)})
PATH = "/v1/sessions?state=live&q=owner%20%3D%20%274711%27"


def page(*ids: str, **links: str) -> dict[str, Any]:
    """Return a page with the sessions *ids*."""
    return {"data": {"sessions": [{"sid": each} for each in ids]}, "links": links}


def settings(**changes: Any) -> HttpSettings:
    """Return the table, with *changes* of its list."""
    written = table("lister")
    written["auth"]["api_key"] = API_KEY
    written["user"]["list"] |= changes
    return HttpSettings.model_validate(written)


def serve(server: FakeProvider, pages: Mapping[str, Any]) -> None:
    """Have *server* answer with the page that stands at each path."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = pages.get(request.raw_path)
        return web.Response(status=500) if body is None else web.json_response(body)

    server.answering = answer


async def look(server: FakeProvider, session: aiohttp.ClientSession, whom: Any = WHOM) -> Any:
    """Return what a look at the list comes to."""
    return await declared("lister", f"{server.url}/v1", session).execute(whom)


async def test_what_is_left_is_called_for_and_an_empty_list_is_the_proof(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """Empty at the first look, nothing was there to be ended, or the provider does not know whom we mean."""
    serve(server, {PATH: page("s-1", "s-2")})
    detail = {"status": "200", "left": "2"}
    found = await look(server, session)
    assert found == Listed(Reason.PROVIDER_IN_PROGRESS, None, detail, REVOKE_LISTED, ("s-1", "s-2"))
    serve(server, {PATH: page()})
    proof = Settled(State.CONFIRMED, "list 200, empty", {"status": "200", "partial": "mail clients"})
    assert await look(server, session, LOOKED) == proof
    assert await look(server, session) == Settled(State.ALREADY_REVOKED, "list 200, empty", {"status": "200"})
    assert kind_of(settings()).uses_own_credential(REVOKE_LISTED)
    assert kind_of(settings()).limited_operations == {REVOKE_USER, REVOKE_LISTED}


async def test_each_item_is_ended_by_a_call_of_its_own(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """With the ids of the user and of the item as path segments; an item that is gone is dead already."""
    [made] = WHOM.of_items(REVOKE_LISTED, ["s-1"])
    provider = declared("lister", f"{server.url}/v1", session)
    server.will_answer(204)
    assert (await provider.execute(made)).state is State.ACCEPTED  # type: ignore[union-attr] # it is settled
    assert (server.heard[0].method, server.heard[0].raw_path) == ("DELETE", "/v1/people/4711/sessions/s-1")
    server.will_answer(404)
    assert (await provider.execute(made)).state is State.ALREADY_REVOKED  # type: ignore[union-attr] # likewise
    stray = made.model_copy(update={"item_id": "../all"})
    assert await provider.execute(stray) == Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": "item_id"})
    assert made.target == ("acme", "token", "s-1")  # no call that ends everything, by which others would be covered


def test_an_item_always_has_the_same_call_and_gets_one() -> None:
    """Listed again after a crash it is the same row; listed again while it is on its way it is none."""
    first = WHOM.of_items(REVOKE_LISTED, ["s-1", "s-2"])
    assert first == WHOM.of_items(REVOKE_LISTED, ["s-1", "s-2"])
    going = WHOM.having(first)
    assert [each.item_id for each in going.of_items(REVOKE_LISTED, ["s-1", "s-3", "s-2"])] == ["s-3"]
    many = WHOM.of_items(REVOKE_LISTED, [f"s-{number}" for number in range(MAX_LISTED + 9)])
    assert len(many) == MAX_LISTED
    assert WHOM.having(many).of_items(REVOKE_LISTED, ["t-1"]) == []


async def test_pages_are_followed_to_the_last(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """An empty page with a link to another one proves nothing."""
    serve(
        server,
        {PATH: page(next="/v1/more/2"), "/v1/more/2": page(next=f"{server.url}/v1/more/3"), "/v1/more/3": page("s-9")},
    )
    assert (await look(server, session)).items == ("s-9",)
    assert {heard.headers["X-API-KEY"] for heard in server.heard} == {API_KEY}


async def test_a_list_without_end_is_no_empty_one(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """So many pages at one look, and so many items; the next look goes on."""
    serve(server, {PATH: page(next="/v1/more"), "/v1/more": page(next="/v1/more")})
    endless = Transient(Reason.PROVIDER_BAD_REPLY, None, {"problem": "endless_list"})
    assert await look(server, session, LOOKED) == endless
    assert len(server.heard) == MAX_PAGES
    serve(server, {PATH: page(*(f"s-{number:08d}" for number in range(5000)))})  # more than other answers may be
    assert len((await look(server, session)).items) == MAX_ITEMS


@in_one_test
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {}},
        {"data": {"sessions": None}},
        {"data": {"sessions": "none"}},
        {"data": {"sessions": {"s-1": 1}}},
        {"data": {"sessions": [{"sid": "me"}]}},
        {"data": {"sessions": [{"id": "s-1"}]}},
        {"data": {"sessions": [{"sid": "s-1"}, {"sid": "../all"}]}},
        {"data": {"sessions": []}, "error": "busy"},
        page(next="https://elsewhere.example/v1/more"),
        page(next="/v2/more"),
        page(next="/v1/../admin"),
        page(next="//elsewhere.example/v1/more"),
        page(next="/v1/%2e%2e/admin"),
        page(next="/v1/..%2Fadmin"),
        page(next="/v1/a%5C..%5Cadmin"),
        page(next="http://[v1/more"),
        page(next="/v1/more\r\nX: y"),
        {"data": {"sessions": []}, "links": {"next": 4711}},
        b"<html>no sessions</html>",
        b"",
    ],
)
async def test_what_is_no_list_is_never_an_empty_one(
    server: FakeProvider, session: aiohttp.ClientSession, body: Any
) -> None:
    """Nothing is passed over, and our credential goes nowhere else."""
    server.will_answer(200, body)
    outcome = await look(server, session, LOOKED)
    assert isinstance(outcome, Transient), outcome
    assert outcome.reason == Reason.PROVIDER_BAD_REPLY


async def test_a_refusal_of_our_credential_is_none_of_the_users(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """The list is read by rows of its own."""
    server.will_answer(403)
    assert isinstance(await look(server, session), CredentialFault)


async def test_a_body_that_is_a_list_and_a_link_in_a_header(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """As Keycloak lists, and as GitHub links (RFC 8288)."""
    changes = {"items": "items", "id": "sid", "next": "header:Link", "examples": bare_examples()}
    here = settings(**changes).model_copy(update={"base_url": f"{server.url}/v1"})

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/2":
            return web.json_response([{"sid": "s-2"}])
        link = f'<{server.url}/v1>; rel="prev", <{server.url}/v1/2>; rel="next"'
        return web.json_response([{"sid": "s-1"}], headers={"Link": link})

    server.answering = answer
    provider = declared("lister", server.url, session).__class__("acme", here, session, None)  # type: ignore[arg-type] # no token is opened
    assert (await provider.execute(WHOM)).items == ("s-1", "s-2")  # type: ignore[union-attr] # it is Listed


def bare_examples() -> Sequence[dict[str, object]]:
    """Return examples whose body is the list."""
    told: list[dict[str, object]] = [{"status": 200, "json": [{"sid": "s-1"}]}, {"status": 200, "json": []}]
    return [*({**each, "means": "accepted"} for each in told), {"status": 403, "means": "credential"}]


async def test_an_asynchronous_provider_is_asked_until_it_is_done(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """What was begun is known by its name, through outages; what failed there is begun anew."""
    provider, made, told = declared("jobber", server.url, session), WHOM, []
    answers: list[tuple[int, object, dict[str, str]]] = [
        *((202, None, {"Location": "https://x.example/jobs/j-7"}), (200, {"state": "running"}, {"Retry-After": "3"})),
        *(
            (503, None, {}),
            (200, b"<html>", {}),
            (200, {"state": "failed"}, {}),
            (202, None, {"Location": "/jobs/j-8"}),
        ),
        (200, {"state": "done"}, {}),
    ]
    for status, body, headers in answers:
        server.will_answer(status, body, headers=headers)
        outcome = await provider.execute(made)
        told.append((server.heard[-1].raw_path, outcome))
        if isinstance(outcome, Transient):
            attempt = Attempt(at=made.occurred_at, reason=outcome.reason, detail=dict(outcome.detail))
            made = made.after(attempt)
    going = ("202", "j-7"), ("200", "j-7"), ("503", "j-7"), ("200", "j-7"), ("200", None), ("202", "j-8")
    assert [(each.detail["status"], each.detail.get("job")) for each in made.attempts] == list(going)
    asked = "/jobs/j-7"
    begin = "/users/4711/logout"
    assert [path for path, _ in told] == [begin, asked, asked, asked, asked, begin, "/jobs/j-8"]
    assert isinstance(told[1][1], Transient)
    assert (told[1][1].reason, told[1][1].retry_after) == (Reason.PROVIDER_IN_PROGRESS, 3.0)
    assert told[-1][1] == Settled(State.ACCEPTED, "200 done", {"status": "200"})


@in_one_test
@pytest.mark.parametrize("headers", [{}, {"Location": "/jobs/me"}, {"Location": "/jobs/.."}, {"Location": "/j-1?x=1"}])
async def test_what_names_nothing_to_ask_about_is_not_begun(
    server: FakeProvider, session: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    """The name becomes a path segment: its rule says which there are."""
    server.will_answer(202, headers=headers)
    outcome = await declared("jobber", server.url, session).execute(WHOM)
    assert outcome == Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "202"})
