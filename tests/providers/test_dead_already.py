"""Dead already: believed only of the vendor's own word about this very token."""

import json

import aiohttp
import pytest
from aiohttp import web
from fake_provider import Answering, FakeProvider
from foreign_answers import DELETE_TOKENS_ME, FOREIGN, HTML, INVALIDATE, JSON, PROBLEM, answers, error, outcome
from in_one_test import in_one_test
from test_finbourne import finbourne
from test_genesys import genesys

from tasks.outcome import Permanent, Reason, Settled, State, Transient

DEAD = 'Bearer error="invalid_token"'
RFC_SENTENCE = "The access token provided is expired, revoked, malformed, or invalid for other reasons."
LUSID = {"name": "Unauthorized", "errorDetails": [], "code": 401, "title": "Unauthorized", "status": 401}


def lusid(**members: object) -> bytes:
    """Return LusidProblemDetails with these members changed."""
    return json.dumps(LUSID | members).encode()


@pytest.mark.parametrize(
    ("body", "media", "challenge"),
    [
        (lusid(), PROBLEM, DEAD),
        (lusid(), f"{JSON}; charset=utf-8", DEAD),
        (b"", "", DEAD),
        (lusid(), PROBLEM, 'bearer realm="lusid", ERROR=invalid_token'),
        (lusid(), PROBLEM, 'Bearer error="invalid_token", error_description="The access token expired"'),
        (b"", "", 'Bearer error="invalid_token", error_description="The token expired at \'11/26/2026 10:00:00\'"'),
        (b"", "", 'Bearer error="invalid_token", error_description="The token \\"x\\" was revoked"'),
        (lusid(), PROBLEM, f'{DEAD}, error_description="{RFC_SENTENCE}"'),
    ],
)
async def test_finbournes_own_word_that_the_token_is_dead_is_believed(
    server: FakeProvider, session: aiohttp.ClientSession, body: bytes, media: str, challenge: str
) -> None:
    """401 with `invalid_token` (RFC 6750 section 3.1), and the vendor's problem document or none."""
    got = await outcome(server, finbourne(server.url, session), INVALIDATE, answers(401, body, media, challenge))
    assert isinstance(got, Settled)
    assert (got.state, got.evidence) == (State.ALREADY_REVOKED, "401 invalid_token")


CHALLENGES = {
    "none": (),
    "no token came": ("Bearer",),
    "a realm": ('Bearer realm="lusid"',),
    "Basic": ('Basic realm="proxy"',),
    "Negotiate": ("Negotiate",),
    "Basic beside it": (f'{DEAD}, Basic realm="proxy"',),
    "Basic before it": ('Basic realm="proxy"', DEAD),
    "two of them": (DEAD, DEAD),
    "invalid_request": ('Bearer error="invalid_request"',),
    "insufficient_scope": ('Bearer error="insufficient_scope"',),
    "two errors": ('Bearer error="invalid_token", error="invalid_request"',),
    "another error first": ('Bearer error="invalid_request", error="invalid_token"',),
    "in a description": ('Bearer error_description="not invalid_token"',),
    "without quotes closed": ('Bearer error="invalid_token',),
    "longer name": ('Bearer error="invalid_token2"',),
    "another scheme's error": ('DPoP error="invalid_token"',),
}
DESCRIPTIONS = [
    "The audience 'https://other' is invalid",
    "The issuer 'https://other' is invalid",
    "IDX10205: Issuer validation failed",
    "invalid_audience",
    "aud mismatch",
    "The iss claim is not valid",
    "The signature key was not found",
    "The signature is invalid",
    "unknown kid",
    "The token is not valid before '11/26/2027 10:00:00'",
    "malformed token",
    "no token",
    "the token belongs to another organization",
    "Invalid token",
    "The access token is not for this resource",
    "An error occurred while attempting to decode the Jwt",
    "The token has no expiration",
    "The token has expired, or its type is not supported",
    "The token was issued for a different API",
    "introspection endpoint unavailable",
    "The certificate thumbprint does not match",
    "could not be parsed",
    "claim 'azp' mismatch",
    "session not found",
]


@in_one_test
@pytest.mark.parametrize("body", [b"", lusid()], ids=["blank", "problem"])
@pytest.mark.parametrize(
    "challenges",
    [*CHALLENGES.values(), *((f'{DEAD}, error_description="{text}"',) for text in DESCRIPTIONS)],
    ids=[*CHALLENGES, *DESCRIPTIONS],
)
async def test_finbournes_challenge_must_speak_of_the_life_of_the_token(
    server: FakeProvider, session: aiohttp.ClientSession, challenges: tuple[str, ...], body: bytes
) -> None:
    """A token that lives is answered 401 as well: where none arrived, where it is not known, where it was mangled."""
    server.heard.clear()
    answer = answers(401, body, PROBLEM if body else "", *challenges)
    got = await outcome(server, finbourne(server.url, session), INVALIDATE, answer)
    assert isinstance(got, Transient)
    assert got.reason == Reason.PROVIDER_BAD_REPLY
    assert got.detail.get("challenge") in {
        None,
        "invalid_token",
        "invalid_request",
        "insufficient_scope",
        "invalid_token2",
    }
    assert len(server.heard) == 1


NOT_LUSID = {name: given for name, given in FOREIGN.items() if name != "nothing"} | {
    "another status": (lusid(status=403), PROBLEM),
    "no name": (lusid(name=None), PROBLEM),
    "no code": (lusid(code="401"), PROBLEM),
    "of an audience": (lusid(detail="The audience is invalid"), PROBLEM),
    "of an audience, deeper": (lusid(errorDetails=[{"id": "x", "detail": "The audience is invalid"}]), PROBLEM),
    "of an issuer, by name": (lusid(errors={"iss": ["unknown issuer"]}), PROBLEM),
    "of itself": (lusid(detail="The service is unavailable"), PROBLEM),
    "of two statuses": (lusid(statusCode=503), PROBLEM),
    "status as a yes": (lusid(status=True), PROBLEM),
    "an empty name": (lusid(name=""), PROBLEM),
    "in another coding": (lusid(), f"{JSON}; charset=utf-16"),
    "of an issuer": (lusid(title="Unknown issuer"), PROBLEM),
    "as text": (lusid(), "text/plain"),
    "as a page": (lusid(), HTML),
    "a member twice": (lusid()[:-1] + b',"status":401}', PROBLEM),
    "cut": (lusid()[:-1], PROBLEM),
    "behind a byte order mark": (b"\xef\xbb\xbf" + lusid(), PROBLEM),
}


@in_one_test
@pytest.mark.parametrize("foreign", NOT_LUSID)
async def test_finbournes_body_must_be_its_own(
    server: FakeProvider, session: aiohttp.ClientSession, foreign: str
) -> None:
    """The right challenge before somebody else's body: a gateway that judges tokens for itself."""
    body, media = NOT_LUSID[foreign]
    got = await outcome(server, finbourne(server.url, session), INVALIDATE, answers(401, body, media, DEAD))
    assert isinstance(got, Transient)
    assert got.reason == Reason.PROVIDER_BAD_REPLY


NOT_GENESYS = dict(FOREIGN) | {
    "of an issuer": (error(message="Token of an unknown issuer."), JSON),
    "of a region": (error(message="The token belongs to another region."), JSON),
    "as text": (error(), "text/plain"),
    "as a page": (error(), HTML),
    "of another status": (error(status=403), JSON),
    "of two statuses": (error(statusCode=403), JSON),
    "of another status, deeper": (error(details=[{"httpStatus": "502"}]), JSON),
    "of another code, deeper": (error(details=[{"code": "authentication.required"}]), JSON),
    "of another code in another case": (error(Code="authentication.required"), JSON),
    "of a list of codes, deeper": (error(errors=[{"errorCode": ["bad.credentials"]}]), JSON),
    "of a region, deeper": (error(errors=[{"text": "The token belongs to another region"}]), JSON),
    "of no token": (error(messageWithParams="No token in the request"), JSON),
    "of itself": (error(message="The service is unavailable."), JSON),
    "of a limit": (error(message="Rate limit exceeded"), JSON),
    "in another coding": (error(), f'{JSON}; charset="UTF-16LE"'),
    "status as text": (error(status="401"), JSON),
    "a code twice": (b'{"code":"authentication.required","code":"bad.credentials","status":401}', JSON),
    "the same code twice": (b'{"code":"bad.credentials","code":"bad.credentials"}', JSON),
    "a code in a list": (error(code=["bad.credentials"]), JSON),
    "cut": (error()[:-1], JSON),
}


@in_one_test
@pytest.mark.parametrize("foreign", NOT_GENESYS)
async def test_genesys_says_dead_in_its_own_document_only(
    server: FakeProvider, session: aiohttp.ClientSession, foreign: str
) -> None:
    """Neither does another 401 settle a call, nor does it confirm one that was accepted."""
    body, media = NOT_GENESYS[foreign]
    provider = genesys(server.url, session)
    got = await outcome(server, provider, DELETE_TOKENS_ME, answers(401, body, media))
    assert isinstance(got, Transient)
    assert got.reason == Reason.PROVIDER_BAD_REPLY
    proved = await outcome(server, provider, DELETE_TOKENS_ME, _accepted_then(answers(401, body, media)))
    assert isinstance(proved, Settled)
    assert (proved.state, proved.evidence) == (State.ACCEPTED, "204; probe 401")


def _accepted_then(probe: Answering) -> Answering:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=204) if request.method == "DELETE" else await probe(request)

    return answer


CODES = ["authentication.required", "not.authorized", "bad.credentials.expired", "Bad.Credentials", " bad.credentials"]


@pytest.mark.parametrize("code", CODES)
async def test_another_code_of_genesys_proves_nothing(
    server: FakeProvider, session: aiohttp.ClientSession, code: str
) -> None:
    """`authentication.required` says that no token arrived, so the one we meant may live."""
    refusing = answers(401, error(code=code), JSON)
    got = await outcome(server, genesys(server.url, session), DELETE_TOKENS_ME, refusing)
    assert isinstance(got, Permanent)
    proved = await outcome(server, genesys(server.url, session), DELETE_TOKENS_ME, _accepted_then(refusing))
    assert isinstance(proved, Settled)
    assert proved.state is State.ACCEPTED


@pytest.mark.parametrize(
    ("challenges", "state"),
    [
        ((), State.CONFIRMED),
        (('Bearer realm="x"',), State.CONFIRMED),
        ((DEAD,), State.CONFIRMED),
        (('Basic realm="proxy"',), State.ACCEPTED),
        ((f'{DEAD}, error_description="unknown issuer"',), State.ACCEPTED),
        (('Bearer error="invalid_request"',), State.ACCEPTED),
    ],
)
async def test_a_challenge_that_says_otherwise_takes_the_proof_away(
    server: FakeProvider, session: aiohttp.ClientSession, challenges: tuple[str, ...], state: State
) -> None:
    """Genesys Cloud's document speaks for itself; a challenge is not needed, but it must not contradict."""
    probe = answers(401, error(), JSON, *challenges)
    proved = await outcome(server, genesys(server.url, session), DELETE_TOKENS_ME, _accepted_then(probe))
    assert isinstance(proved, Settled)
    assert proved.state is state
