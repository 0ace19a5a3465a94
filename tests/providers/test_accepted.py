"""Accepted: a success with nothing else in it. A gateway's word about our credential or an address settles nothing."""

import aiohttp
import pytest
from calls import USER_ID, call
from fake_provider import FakeProvider
from foreign_answers import DELETE_TOKENS_ME, FOREIGN, INVALIDATE, JSON, answers, error, outcome
from in_one_test import in_one_test
from test_finbourne import finbourne
from test_genesys import genesys

from tasks.call import ProviderCall
from tasks.outcome import CredentialFault, Permanent, Reason, Settled, Transient

DELETE_TOKEN = call("genesys.delete_token", "genesys-eu", user_id=USER_ID)
NO_SUCCESS = {name: given for name, given in FOREIGN.items() if name != "nothing"} | {
    "an error document": (error(status=500, code="internal.server.error"), JSON),
    "only a message": (b'{"message":"try again"}', JSON),
    "a member twice": (b'{"id":1,"id":2}', JSON),
    **{
        text: (text.encode(), JSON)
        for text in (
            '{"status":401}',
            '{"statusCode":"500"}',
            '{"status":"error"}',
            '{"success":false}',
            '{"success":"false"}',
            '{"ok":0}',
            '{"result":"failed"}',
            '{"error_description":"x"}',
            '{"Message":"x"}',
            '{"data":{"error":"x"}}',
            '{"items":[{"id":"1","http-status":404}]}',
            '{"token":{"isActive":true}}',
            '{"tokenStatus":"ACTIVE"}',
        )
    },
}


@in_one_test
@pytest.mark.parametrize("made", [DELETE_TOKENS_ME, DELETE_TOKEN], ids=["own token", "worker's token"])
@pytest.mark.parametrize("foreign", NO_SUCCESS)
async def test_a_success_with_a_page_or_an_error_in_it_is_a_bad_reply(
    server: FakeProvider, session: aiohttp.ClientSession, foreign: str, made: ProviderCall
) -> None:
    """A sign-in page comes with 200."""
    body, media = NO_SUCCESS[foreign]
    got = await outcome(server, genesys(server.url, session), made, answers(200, body, media))
    assert isinstance(got, Transient)
    assert got.reason == Reason.PROVIDER_BAD_REPLY


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"", ""),
        (b" \r\n", "text/plain"),
        (b'{"id":"x"}', JSON),
        (b'{"id":1,"errors":[],"error":null,"status":204,"ok":true}', JSON),
    ],
)
async def test_a_success_without_an_error_in_it_is_accepted(
    server: FakeProvider, session: aiohttp.ClientSession, body: bytes, media: str
) -> None:
    """Blank, or a document that names none."""
    got = await outcome(server, genesys(server.url, session), DELETE_TOKEN, answers(200, body, media))
    assert isinstance(got, Settled)


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_a_gateways_401_to_the_worker_settles_nothing(
    server: FakeProvider, session: aiohttp.ClientSession, foreign: str
) -> None:
    """Whoever refuses the worker's own credential says nothing of a user's tokens."""
    body, media = FOREIGN[foreign]
    got = await outcome(server, genesys(server.url, session), DELETE_TOKEN, answers(401, body, media))
    assert isinstance(got, CredentialFault)


async def test_a_404_tells_that_nothing_is_at_the_address(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """Where no user id was asked for, none can be unknown: the base URL is wrong."""
    for provider, made in (
        (finbourne(server.url, session), INVALIDATE),
        (genesys(server.url, session), DELETE_TOKENS_ME),
    ):
        got = await outcome(server, provider, made, answers(404, b""))
        assert got == Permanent(Reason.PROVIDER_NO_ENDPOINT, {"status": "404"})
