"""Genesys Cloud and Finbourne, written as tables, do request by request and answer by answer what their code does."""

import json
from collections.abc import Callable, Iterator

import aiohttp
import pytest
from aiohttp import web
from calls import USER_ID, call, sealed_call
from declared_tables import SESSION_CALL, USER_CALL, at_server, declared
from fake_provider import FakeProvider
from foreign_answers import FOREIGN, HTML, JSON, PROBLEM
from multidict import CIMultiDict
from test_dead_already import CHALLENGES, DEAD, DESCRIPTIONS, lusid
from test_finbourne import finbourne
from test_genesys import genesys

from tasks.call import ProviderCall
from tasks.outcome import Outcome
from tasks.providers.answers import Answer
from tasks.providers.declared.outcomes import Reader
from tasks.providers.declared.provider import fields_of
from tasks.providers.finbourne import provider as finbourne_code
from tasks.providers.genesys import outcomes
from tasks.providers.provider import Provider

BODIES = {
    **FOREIGN,
    "ok": (b'{"ok":true}', JSON),
    "no success": (b'{"success":false}', JSON),
    "a failure inside": (b'{"result":{"failed":1}}', JSON),
    **{
        name: (json.dumps({"code": name, "status": 401, "contextId": "c0ffee"}).encode(), JSON)
        for name in ("bad.credentials", "authentication.required", "something.else", "not.found")
    },
    "of another status": (b'{"code":"bad.credentials","status":403}', JSON),
    "of another place": (b'{"code":"bad.credentials","message":"The audience is invalid"}', JSON),
    "two codes": (b'{"code":"bad.credentials","details":[{"errorCode":"throttled"}]}', JSON),
    "lusid": (lusid(), PROBLEM),
    "lusid of another place": (lusid(detail="unknown issuer"), PROBLEM),
    "lusid without a name": (lusid(name=""), PROBLEM),
    "lusid as a page": (lusid(), HTML),
}
SAID = [*CHALLENGES.values(), *((f'{DEAD}, error_description="{each}"',) for each in DESCRIPTIONS)]
Reading = Callable[[Answer], Outcome]


def all_answers() -> Iterator[Answer]:
    """Every status with every body; a 401 with every challenge as well. A 204 has none (RFC 9110 section 15.3.5)."""
    for body, media in BODIES.values():
        for status in [each for each in range(200, 600) if each != 204 or not (body or media)]:
            for said in SAID if status == 401 else ((),):
                headers = CIMultiDict({"Content-Type": media, "ININ-Correlation-Id": "b-2", "Retry-After": "7"})
                for each in said:
                    headers.add("WWW-Authenticate", each)
                yield Answer(status, headers, body)


def by_table(name: str, place: str) -> Reading:
    """How the table *name* reads an answer to its call *place*."""
    settings = at_server(name, "http://127.0.0.1:9")
    described = settings.calls[place]
    reader = Reader(described.outcomes, described.default, own_credential=settings.is_own(described))
    return lambda answer: reader.outcome(answer, fields_of(described.details, answer))


PAIRS: dict[str, tuple[Reading, Reading]] = {
    "DeleteTokensMe": (outcomes.of_own_token, by_table("genesys", "session")),
    "DeleteToken": (lambda answer: outcomes.of_delete_token(answer, "dead"), by_table("genesys", "user")),
    "InvalidateToken": (finbourne_code.meaning, by_table("finbourne", "session")),
}


@pytest.mark.parametrize("operation", PAIRS)
def test_a_table_reads_every_answer_as_the_code_does(operation: str) -> None:
    """Outcome, evidence, reason, detail and wait: the same of thousands of answers, foreign ones among them."""
    by_code, declared_ = PAIRS[operation]
    differing = [
        (each.status, each.body, dict(each.headers)) for each in all_answers() if by_code(each) != declared_(each)
    ]
    assert differing[:3] == []


@pytest.mark.parametrize("status", [200, 204, 401, 403, 404, 503])
@pytest.mark.parametrize("operation", PAIRS)
async def test_a_table_sends_the_requests_that_the_code_sends(
    server: FakeProvider, session: aiohttp.ClientSession, operation: str, status: int
) -> None:
    """Method, path, every header, body: of calls, repetitions, logins and probes, in their order."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = {"code": "bad.credentials", "status": 401}
        return web.json_response(body, status=401) if request.method == "GET" else web.Response(status=status)

    server.answering = answer
    traffic = [await heard_of(server, *each) for each in both(operation, server.url, session)]
    assert traffic[0] == traffic[1]


def both(operation: str, url: str, session: aiohttp.ClientSession) -> Iterator[tuple[Provider, ProviderCall]]:
    """The provider in code and the one in a table, each with its call for *operation*."""
    match operation:
        case "DeleteTokensMe":
            yield genesys(url, session), sealed_call("genesys.delete_tokens_me", "genesys-eu")
            yield declared("genesys", url, session), SESSION_CALL
        case "DeleteToken":
            yield genesys(url, session), call("genesys.delete_token", "genesys-eu", user_id=USER_ID)
            yield declared("genesys", url, session), USER_CALL
        case _:
            yield finbourne(url, session), sealed_call("finbourne.invalidate_token", "finbourne")
            yield declared("finbourne", url, session), SESSION_CALL


async def heard_of(server: FakeProvider, provider: Provider, made: ProviderCall) -> tuple[object, ...]:
    """What *provider* sends for the call, and what it comes to."""
    server.heard.clear()
    server.logins.clear()
    outcome = await provider.execute(made)
    everything = [*server.logins, *server.heard]
    return outcome, [(each.method, each.raw_path, sorted(each.headers.items()), each.body) for each in everything]
