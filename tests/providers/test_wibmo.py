"""Wibmo's token service: encrypted both ways, and success is inside."""

import base64
import json
from typing import ClassVar

import aiohttp
import pytest
from calls import API_KEY, REFERENCE, call
from contract import ProviderContract
from fake_provider import FakeProvider
from in_one_test import in_one_test
from pydantic import SecretStr
from trial import TIMEOUT

from tasks.outcome import CredentialFault, Permanent, Reason, Settled, State, Transient
from tasks.providers.wibmo import WibmoSettings
from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import make_cipher
from tasks.providers.wibmo.provider import Wibmo

INVALIDATE = call("wibmo.invalidate_token", "wibmo", token_reference_id=REFERENCE)
CIPHER = CipherConfig(scheme="aes-gcm", key=SecretStr(base64.b64encode(bytes(range(32))).decode()))
FOREIGN_CIPHER = CipherConfig(scheme="aes-gcm", key=SecretStr(base64.b64encode(bytes(32)).decode()))
ENDED = {"resCode": 100, "resDesc": "SUCCESS"}
BAD_REPLY = Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "200"})


def wibmo(url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Wibmo:
    """Return the provider, configured for a server at *url*."""
    settings = WibmoSettings(base_url=f"{url}/v1", api_key=SecretStr(API_KEY), cipher=CIPHER, timeout=timeout)
    return Wibmo("wibmo", settings, session)


def encrypted(document: object, config: CipherConfig = CIPHER) -> bytes:
    """Return *document* as the service sends it."""
    return make_cipher(config).encrypt(json.dumps(document).encode())


class TestWibmo(ProviderContract):
    """The worker's API key."""

    call = INVALIDATE
    foreign = "genesys.delete_tokens_me"
    statuses: ClassVar = {401: CredentialFault, 403: CredentialFault}
    successes: ClassVar = frozenset({200})

    def make(self, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT) -> Wibmo:
        """Return the provider under test."""
        return wibmo(url, session, timeout)

    def success(self) -> bytes:
        """Return an encrypted success."""
        return encrypted(ENDED)


async def test_the_request_is_the_vendors_and_encrypted_afresh(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """The same call twice: the same plaintext, never the same ciphertext."""
    server.will_answer(200, encrypted(ENDED))
    provider = wibmo(server.url, session)
    outcomes = [await provider.execute(INVALIDATE) for _ in range(2)]
    expected = Settled(State.ACCEPTED, "200 resCode", {"status": "200", "res_code": "100"})
    assert outcomes == [expected, expected]
    first, second = server.heard
    assert (first.method, first.raw_path) == ("POST", "/v1/token-service/client/server/invalidate/token")
    assert (first.headers["X-API-KEY"], first.headers["Content-Type"]) == (API_KEY, "text/plain")
    plain = [json.loads(make_cipher(CIPHER).decrypt(heard.body)) for heard in (first, second)]
    assert plain == [{"tokenReferenceId": REFERENCE}] * 2
    assert first.body != second.body


@pytest.mark.parametrize(
    "inside",
    [
        {"resCode": 100},
        {"resCode": 200, "data": {"resCode": 100}},
        {"resCode": "TOK200"},
        {"resCode": "200", "data": {"other": 1}},
        {"resCode": "100", "data": None},
    ],
)
async def test_the_published_shapes_of_success_are_accepted(
    server: FakeProvider, session: aiohttp.ClientSession, inside: object
) -> None:
    """resCode, and the inner one where there is one."""
    server.will_answer(200, encrypted(inside))
    assert isinstance(await wibmo(server.url, session).execute(INVALIDATE), Settled)


@pytest.mark.parametrize(
    "inside",
    [
        {"resCode": 500},
        {"resCode": True},
        {"resCode": 100.0},
        {"resCode": None},
        {"resCode": [100]},
        {"resCode": "tok200"},
        {"resCode": 200, "data": {"resCode": 404}},
        {"resCode": 200, "data": {"resCode": None}},
        {"resCode": 404, "data": {"resCode": 100}},
    ],
)
async def test_a_refusal_inside_a_200_is_dead_lettered(
    server: FakeProvider, session: aiohttp.ClientSession, inside: object
) -> None:
    """HTTP 200 alone proves nothing."""
    server.will_answer(200, encrypted(inside))
    outcome = await wibmo(server.url, session).execute(INVALIDATE)
    assert isinstance(outcome, Permanent)
    assert outcome.reason == Reason.PROVIDER_RESCODE


OTHERWISE: list[dict[str, object]] = [
    {"resDesc": "FAILURE"},
    {"resDesc": "Partial success"},
    {"resDesc": "SUCCESS", "message": "cannot reach the store"},
    {"resDesc": "Success, but token unknown"},
    {"resDesc": "SUCCESS", "success": "false"},
    {"resDesc": "SUCCESS", "failed": True},
    {"resDesc": "SUCCESS", "statusCode": 401},
    {"resDesc": "SUCCESS", "data": {"resCode": 100, "http_status": "500"}},
    {"resDesc": "SUCCESS", "data": {"resCode": 100, "tokenStatus": "ACTIVE"}},
    {"resDesc": "not successful"},
    {"resDesc": "UNSUCCESSFUL"},
    {"resDesc": "Invalid Token Passed"},
    {"resDesc": ""},
    {"resDesc": ["SUCCESS"]},
    {"resDesc": "SUCCESS", "data": {"resCode": 100, "resDesc": "FAILED"}},
    {"data": [{"resCode": 500}]},
    {"data": [{"resCode": 100}]},
    {"data": []},
    {"data": '{"resCode":500}'},
    {"data": "OK"},
    {"data": False},
    {"data": {"data": {"resCode": 500}}},
    {"data": {"resCode": 100, "items": [{"resCode": 500}]}},
    {"data": {"resCode": 100, "inner": '{"resCode":500}'}},
    {"response": {"resCode": 500}},
    {"rescode": 500},
    {"RESCODE": 100},
    {"res_code": 500},
    {"error": {"code": 1}},
    {"errorCode": "E1"},
    {"success": False},
    {"status": "FAILURE"},
    {"data": {"errors": ["x"]}},
]
TWO_MEANINGS = [
    b'{"resCode":500,"resCode":100}',
    b'{"resCode":100,"resCode":100}',
    b'{"resCode":100,"data":{"resCode":500,"resCode":100}}',
    *(json.dumps({"resCode": 100} | more).encode() for more in OTHERWISE),
]


@in_one_test
@pytest.mark.parametrize("inside", TWO_MEANINGS, ids=bytes.decode)
async def test_what_speaks_of_success_and_of_failure_is_a_bad_reply(
    server: FakeProvider, session: aiohttp.ClientSession, inside: bytes
) -> None:
    """Success is read in exactly one meaning, at any depth, or not at all."""
    server.will_answer(200, make_cipher(CIPHER).encrypt(inside))
    assert await wibmo(server.url, session).execute(INVALIDATE) == BAD_REPLY


@pytest.mark.parametrize("status", [201, 202, 203, 206, 226])
async def test_a_success_comes_as_200(server: FakeProvider, session: aiohttp.ClientSession, status: int) -> None:
    """The vendor publishes no other; a part of an answer (206) least of all."""
    server.will_answer(status, encrypted(ENDED))
    assert await wibmo(server.url, session).execute(INVALIDATE) == Transient(
        Reason.PROVIDER_BAD_REPLY, None, {"status": str(status)}
    )


@pytest.mark.parametrize("place", [{"resCode": "REF-7731-abc"}, {"resCode": 200, "data": {"resCode": "REF-7731-abc"}}])
async def test_the_token_reference_never_comes_back_in_a_detail(
    server: FakeProvider, session: aiohttp.ClientSession, place: object
) -> None:
    """A short plain reference could be taken for a code."""
    server.will_answer(200, encrypted(place))
    outcome = await wibmo(server.url, session).execute(
        INVALIDATE.model_copy(update={"token_reference_id": "REF-7731-abc"})
    )
    assert isinstance(outcome, Permanent)
    assert "REF-7731-abc" not in repr(outcome)
    assert not {"res_code", "data_res_code"} & {name for name, told in outcome.detail.items() if "REF" in told}


async def test_a_404_tells_that_nothing_is_at_the_address(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """No user id was asked for, so none can be unknown: the base URL is wrong."""
    server.will_answer(404)
    outcome = await wibmo(server.url, session).execute(INVALIDATE)
    assert outcome == Permanent(Reason.PROVIDER_NO_ENDPOINT, {"status": "404"})


UNREADABLE = {
    "empty": b"",
    "plain_json": json.dumps(ENDED).encode(),
    "html": b"<html>",
    "another_key": encrypted(ENDED, FOREIGN_CIPHER),
    "array": encrypted([100]),
    "string": encrypted("100"),
    "no_code": encrypted({}),
    "inner_code_only": encrypted({"data": {"resCode": 100}}),
    "brace": make_cipher(CIPHER).encrypt(b"{"),
    "cut": make_cipher(CIPHER).encrypt(b'{"resCode":100'),
    "not_utf8": make_cipher(CIPHER).encrypt(b"\xff"),
    "nan": make_cipher(CIPHER).encrypt(b'{"resCode":100,"data":{"at":NaN}}'),
}


@pytest.mark.parametrize("unreadable", UNREADABLE)
async def test_whatever_cannot_be_read_is_the_same_bad_reply(
    server: FakeProvider, session: aiohttp.ClientSession, unreadable: str
) -> None:
    """Another key, plain text, cut JSON: never success, and not to be told apart."""
    server.will_answer(200, UNREADABLE[unreadable])
    assert await wibmo(server.url, session).execute(INVALIDATE) == BAD_REPLY


async def test_every_flipped_bit_is_the_same_bad_reply(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """With an authenticated cipher nobody on the way can turn a refusal into a success."""
    body = bytearray(base64.b64decode(encrypted({"resCode": 999})))
    provider = wibmo(server.url, session)
    for bit in range(len(body) * 8):
        body[bit // 8] ^= 1 << bit % 8
        server.will_answer(200, base64.b64encode(body))
        assert await provider.execute(INVALIDATE) == BAD_REPLY
        body[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_our_fault_whatever_is_inside(
    server: FakeProvider, session: aiohttp.ClientSession, status: int
) -> None:
    """401 "Invalid Token Passed" cannot be told from a refused API key: never a success. 403 is about the key."""
    server.will_answer(status, encrypted(ENDED))
    outcome = await wibmo(server.url, session).execute(INVALIDATE)
    assert isinstance(outcome, CredentialFault)
    assert outcome.is_ambiguous is (status == 401)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<html>401</html>", {}),
        (b"", {"Content-Type": "text/html"}),
        (b"\n <!DOCTYPE html>", {"Content-Type": "text/plain"}),
        (b"Invalid Token Passed", {"WWW-Authenticate": 'Basic realm="proxy"'}),
        (b"", {"www-authenticate": "Bearer"}),
    ],
)
async def test_a_gateways_401_says_nothing_of_key_and_reference(
    server: FakeProvider, session: aiohttp.ClientSession, body: bytes, headers: dict[str, str]
) -> None:
    """It would have a reference called dead that lives, or everybody's calls held."""
    server.will_answer(401, body, headers)
    outcome = await wibmo(server.url, session).execute(INVALIDATE)
    assert outcome == Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "401"})


async def test_a_call_without_a_reference_is_dead(server: FakeProvider, session: aiohttp.ClientSession) -> None:
    """There is nothing to ask for."""
    outcome = await wibmo(server.url, session).execute(INVALIDATE.model_copy(update={"token_reference_id": None}))
    assert outcome == Permanent(Reason.ROUTE_UNRESOLVABLE, {"missing": "token_reference_id"})
    assert server.heard == []
