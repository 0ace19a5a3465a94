"""Wibmo's cipher on the wire: what is changed on the way says nothing, and no two attempts look alike."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from calls import API_KEY, REFERENCE, call
from fake_provider import FakeProvider

from tasks.outcome import Outcome, Reason, Settled, Transient
from tasks.providers.answers import Answer
from tasks.providers.http import Edge, Purpose
from tasks.providers.provider import Request
from tasks.providers.wibmo import WibmoSettings
from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import make_cipher
from tasks.providers.wibmo.provider import Wibmo
from worker.calls import attempts
from worker.observability.lines import JsonLines

INVALIDATE = call("wibmo.invalidate_token", "wibmo", token_reference_id=REFERENCE)
BAD_REPLY = Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": "200"})
MOVING = ("timestamp", "duration_ms", "exposure_seconds")
KEY = {"key": "0123456789abcdef0123456789abcdef", "key_encoding": "raw"}
MAC: dict[str, Any] = {"mac_key": "fedcba9876543210fedcba9876543210"}

AUTHENTICATED: dict[str, dict[str, Any]] = {
    "aes-gcm": {"scheme": "aes-gcm"},
    "aes-cbc, MAC": {"scheme": "aes-cbc", **MAC},
    "aes-cbc, MAC, zero IV": {"scheme": "aes-cbc", "iv": "zero", **MAC},
    "aes-cbc, MAC, hex": {"scheme": "aes-cbc", "encoding": "hex", **MAC},
    "jwe": {"scheme": "jwe"},
}
CHANGEABLE: dict[str, dict[str, Any]] = {
    "aes-cbc": {"scheme": "aes-cbc"},
    "aes-cbc, zero IV": {"scheme": "aes-cbc", "iv": "zero"},
    "aes-ecb": {"scheme": "aes-ecb", "accept_risk": "aes-ecb"},
}


def config(scheme: dict[str, Any]) -> CipherConfig:
    """Return the settings of *scheme* with its key."""
    return CipherConfig.model_validate(KEY | scheme)


def wibmo(server: FakeProvider, session: aiohttp.ClientSession, scheme: dict[str, Any]) -> Wibmo:
    """Return the provider, with *scheme*."""
    settings = {"base_url": server.url, "api_key": API_KEY, "cipher": config(scheme), "timeout": 5.0}
    return Wibmo("wibmo", WibmoSettings.model_validate(settings), session)


def flips(body: bytes) -> Iterator[bytes]:
    """Change one bit of *body*, each in turn."""
    for place in range(len(body) * 8):
        yield bytes([*body[: place // 8], body[place // 8] ^ 1 << place % 8, *body[place // 8 + 1 :]])


def changed(reply: bytes, encoding: str | None) -> Iterator[bytes]:
    """Change each bit that travels, and each bit of what travels as base64."""
    yield from flips(reply)
    if encoding is None:
        yield from (base64.b64encode(raw) for raw in flips(base64.b64decode(reply)))


class Wire(Edge):
    """Answers with each of *replies* in turn: thousands of them need no socket."""

    def __init__(self, session: aiohttp.ClientSession, replies: Iterator[bytes]) -> None:
        super().__init__(session, 5.0)
        self._replies = replies

    async def send(self, request: Request, deadline: float, purpose: Purpose = "revocation") -> Answer:
        """Return the next reply, as if it had come over a connection."""
        del deadline, purpose
        return Answer(200, {}, next(self._replies), request.secrets)


async def seen(session: aiohttp.ClientSession, provider: Wibmo, replies: Iterator[bytes]) -> list[Outcome]:
    """Return what the worker makes of each of *replies*."""
    given = list(replies)
    provider._edge = Wire(session, iter(given))
    return [await attempts.make(provider, INVALIDATE) for _ in given]


def lines(caplog: pytest.LogCaptureFixture) -> set[str]:
    """Return the different log lines of the attempts, clocks aside."""
    attempts = [record for record in caplog.records if record.msg == "revocation.attempted"]
    told = [json.loads(JsonLines().format(record)) for record in attempts]
    return {json.dumps({name: value for name, value in line.items() if name not in MOVING}) for line in told}


@pytest.mark.parametrize("code", [100, 999])
@pytest.mark.parametrize("scheme", AUTHENTICATED)
async def test_every_flipped_bit_of_a_reply_is_one_outcome_and_one_log_line(
    server: FakeProvider, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, scheme: str, code: int
) -> None:
    """Whether MAC, padding, coding or JSON was hit is not to be seen, nor what the reply had said."""
    chosen = AUTHENTICATED[scheme]
    reply = make_cipher(config(chosen)).encrypt(json.dumps({"resCode": code}).encode())
    encoding = "jwe" if chosen["scheme"] == "jwe" else chosen.get("encoding")
    outcomes = await seen(session, wibmo(server, session, chosen), changed(reply, encoding))
    assert len(outcomes) > 8 * 60
    assert {repr(outcome) for outcome in outcomes} == {repr(BAD_REPLY)}
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("scheme", CHANGEABLE)
async def test_a_flipped_bit_that_makes_a_reply_unreadable_is_one_outcome_and_one_log_line(
    server: FakeProvider, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, scheme: str
) -> None:
    """Without a MAC a changed reply may still read, as another refusal; wrong padding and wrong JSON are one thing."""
    reply = make_cipher(config(CHANGEABLE[scheme])).encrypt(b'{"resCode":999,"resDesc":"REFUSED"}')
    outcomes = await seen(session, wibmo(server, session, CHANGEABLE[scheme]), changed(reply, None))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Settled)]
    unreadable = [outcome for outcome in outcomes if str(getattr(outcome, "reason", "")) != Reason.PROVIDER_RESCODE]
    assert {repr(outcome) for outcome in unreadable} == {repr(BAD_REPLY)}
    assert len(unreadable) > len(outcomes) * 0.9
    assert len([line for line in lines(caplog) if Reason.PROVIDER_RESCODE not in line]) == 1


IVS = {"aes-gcm": 12, "aes-cbc": 16, "aes-cbc, MAC": 16}


@pytest.mark.parametrize("scheme", IVS)
async def test_every_attempt_at_a_call_has_an_iv_of_its_own(
    server: FakeProvider, session: aiohttp.ClientSession, scheme: str
) -> None:
    """The service is asked the same thing five times and sees neither an IV nor a block of ciphertext twice."""
    chosen = (AUTHENTICATED | CHANGEABLE)[scheme]
    provider = wibmo(server, session, chosen)
    server.will_answer(503)
    for _ in range(5):
        await provider.execute(INVALIDATE)
    bodies = [base64.b64decode(heard.body) for heard in server.heard]
    assert len({body[: IVS[scheme]] for body in bodies}) == 5
    blocks = [body[start : start + 16] for body in bodies for start in range(IVS[scheme], len(body) - 15, 16)]
    assert len(set(blocks)) == len(blocks)
    plain = {make_cipher(config(chosen)).decrypt(heard.body) for heard in server.heard}
    assert plain == {json.dumps({"tokenReferenceId": REFERENCE}).encode()}


async def test_every_attempt_at_a_call_has_a_jwe_iv_of_its_own(
    server: FakeProvider, session: aiohttp.ClientSession
) -> None:
    """The third segment of a compact JWE (RFC 7516 section 7.1)."""
    server.will_answer(503)
    provider = wibmo(server, session, AUTHENTICATED["jwe"])
    for _ in range(5):
        await provider.execute(INVALIDATE)
    segments = [heard.body.split(b".") for heard in server.heard]
    assert [len({each[place] for each in segments}) for place in (2, 3, 4)] == [5, 5, 5]
