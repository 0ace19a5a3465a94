"""Answers that are not the provider's own, and how one is given to a call."""

import json
from collections.abc import Mapping

from aiohttp import web
from calls import sealed_call
from fake_provider import Answering, FakeProvider

from tasks.call import ProviderCall
from tasks.outcome import Outcome
from tasks.providers.provider import Provider

INVALIDATE = sealed_call("finbourne.invalidate_token", "finbourne")
DELETE_TOKENS_ME = sealed_call("genesys.delete_tokens_me", "genesys-eu")
JSON, PROBLEM, HTML = "application/json", "application/problem+json", "text/html; charset=utf-8"
GENESYS = {"code": "bad.credentials", "status": 401, "message": "Invalid login credentials.", "contextId": "c0ffee"}
PAGE = b"<!doctype html><title>Sign in</title>"
FOREIGN: Mapping[str, tuple[bytes, str]] = {
    "nothing": (b"", ""),
    "an empty page": (b"", HTML),
    "a page": (PAGE, HTML),
    "a page said to be JSON": (PAGE, JSON),
    "null": (b"null", JSON),
    "an array": (b"[]", JSON),
    "an empty object": (b"{}", JSON),
    "AWS": (b'{"message":"Unauthorized"}', JSON),
    "OAuth": (b'{"error":"invalid_token","error_description":"expired"}', JSON),
    "Apigee": (b'{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"x"}}}', JSON),
    "Azure": (b'{"statusCode":401,"message":"Access denied"}', JSON),
    "text": (b"Unauthorized", "text/plain"),
}


def answers(status: int, body: bytes, media: str = "", *challenges: str) -> Answering:
    """Return a provider that gives this very answer."""

    async def answer(_: web.Request) -> web.StreamResponse:
        response = web.Response(status=status, body=body)
        if media:
            response.headers["Content-Type"] = media
        for challenge in challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response

    return answer


async def outcome(server: FakeProvider, provider: Provider, made: ProviderCall, answer: Answering) -> Outcome:
    """Return what *answer* makes of the call."""
    server.answering = answer
    return await provider.execute(made)


def error(**members: object) -> bytes:
    """Return Genesys Cloud's error document with these members changed."""
    return json.dumps(GENESYS | members).encode()
