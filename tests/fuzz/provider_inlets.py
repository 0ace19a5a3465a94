"""Where providers and their settings come in: what is drawn for them, and all that is told of them."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
from hostile import NUMBERS, SECRET, TEXT, VALUES, members, spoilt, written
from hypothesis import strategies as st
from inlet import Inlet
from multidict import CIMultiDict
from pydantic import ConfigDict, SecretStr, TypeAdapter, ValidationError
from yarl import URL

from tasks.outcome import Reason
from tasks.providers import ProviderSettings, oauth
from tasks.providers.answers import Answer
from tasks.providers.finbourne import provider as finbourne
from tasks.providers.genesys import outcomes as meanings
from tasks.providers.genesys.outcomes import IdleTimeout, TokenInfo
from tasks.providers.headers import wait_asked
from tasks.providers.http import BODY_CAP, Edge, open_session
from tasks.providers.provider import Request
from tasks.providers.wibmo import WibmoSettings
from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import make_cipher
from tasks.providers.wibmo.provider import Wibmo
from tasks.retry import RetryPolicy

_KEY = {"key": "0123456789abcdef0123456789abcdef", "key_encoding": "raw"}
_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "aes-gcm": {},
    "aes-cbc": {},
    "aes-cbc with MAC": {"scheme": "aes-cbc", "mac_key": "fedcba9876543210fedcba9876543210"},
    "jwe": {},
    "aes-ecb": {"accept_risk": "aes-ecb"},
    "none": {"accept_risk": "none"},
}
_REPLIES = [b'{"resCode":100,"resDesc":"SUCCESS"}', b'{"resCode":200,"resDesc":"x","data":{"resCode":"TOK200"}}']
_JSON = members("resCode", "data", "code", "name", "error", "expires_in", "access_token", "contextId").map(written)


def _wibmo(config: Mapping[str, str]) -> Wibmo:
    cipher = CipherConfig.model_validate({**_KEY, **config})
    settings = {"base_url": "https://wibmo.test", "api_key": "k", "cipher": cipher}
    return Wibmo("wibmo", WibmoSettings.model_validate(settings), cast("aiohttp.ClientSession", None))


def _answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, CIMultiDict(headers or {}), body, (SecretStr(SECRET),))


def _cipher_inlet(name: str) -> Inlet:
    config = {"scheme": name, **_SCHEMES[name]}
    provider, cipher = _wibmo(config), make_cipher(CipherConfig.model_validate({**_KEY, **config}))
    inside = spoilt(_REPLIES) | _JSON | VALUES.map(written)
    drawn = inside.map(cipher.encrypt) | spoilt([cipher.encrypt(reply) for reply in _REPLIES]) | st.binary()
    return Inlet(
        f"reply in {name}",
        drawn,
        lambda body: provider._meaning(_answer(body)),
        lambda body: cipher.encrypt(body[:BODY_CAP]),
    )


_WIBMO = _wibmo({"scheme": "none", "accept_risk": "none"})
Told = tuple[int, Mapping[str, str], bytes]
_FIELDS = ["Retry-After", "Date", "inin-ratelimit-reset", "ININ-Correlation-Id"]
_FAULTS = [b'{"message":"m","code":"bad.credentials","status":401,"contextId":"c","details":[],"errors":[]}',
           b'{"name":"InternalError","errorDetails":[],"code":1,"type":"t","title":"t","instance":"i"}',
           b'{"access_token":"a","token_type":"bearer","expires_in":86400}', b'{"error":"invalid_client"}',
           b'{"organization":{},"authorizedScope":["a"],"dateTokenIdles":"2026-11-21T00:00:00Z"}',
           b'{"idleTokenTimeoutSeconds":300,"enableIdleTokenTimeout":true}']  # fmt: skip


def _tell_answer(told: Told) -> object:
    status, headers, body = told
    return asyncio.run(_meanings(_answer(body, status, headers)))


async def _meanings(answer: Answer) -> list[object]:
    revoking = (meanings.of_own_token, meanings.of_worker_token, finbourne.meaning, _WIBMO._meaning, oauth._refused)
    outcomes: list[object] = [meaning(answer) for meaning in revoking]
    documents = [meanings.document(answer, TokenInfo), meanings.document(answer, IdleTimeout), oauth._granted(answer)]
    return [*outcomes, *(type(document) for document in documents), answer, answer.reachability_outcome()]


def _tell_wait(asked: tuple[str, str, str]) -> object:
    headers = CIMultiDict(zip(_FIELDS, asked, strict=False))
    seconds = wait_asked(429, headers)
    assert seconds is None or 0 <= seconds < float("inf")
    assert (RetryPolicy(max_attempts=2).next_delay(1, 10**9, seconds) or 0) >= 1
    return seconds


_DATES = st.sampled_from(
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
_WAITS = TEXT | NUMBERS.map(str) | spoilt([b"120", b"1.5"]).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
_ASKED = _WAITS | _DATES.flatmap(lambda date: spoilt([date.encode()])).map(lambda raw: raw.decode("latin-1"))

_HTTP = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 204 No Content\r\nRetry-After: 1\r\n\r\n",
         b"HTTP/1.1 429 Slow\r\nSet-Cookie: a=b; Path=/\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         b"HTTP/1.1 302 Found\r\nLocation: https://login.test/a?b=c\r\nContent-Length: 0\r\n\r\n"]  # fmt: skip


def _tell_http(raw: bytes) -> object:
    return asyncio.run(_exchanged(raw))


async def _exchanged(raw: bytes) -> object:
    """Ask a server on loopback that answers *raw* and hangs up."""

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    async with await asyncio.start_server(answering, "127.0.0.1", 0) as server, open_session() as session:
        port = server.sockets[0].getsockname()[1]
        url, secrets = URL(f"http://127.0.0.1:{port}/"), (SecretStr(SECRET),)
        request = Request("DELETE", url, {"Authorization": SECRET}, None, secrets)
        edge = Edge(session, 5.0)
        got = await edge.send(request, edge.deadline())
        if isinstance(got, Answer):
            return await _meanings(got)
        assert got.reason != Reason.NET_TIMEOUT
        return got


_SETTINGS: TypeAdapter[Any] = TypeAdapter(ProviderSettings | None, config=ConfigDict(hide_input_in_errors=True))
_CIPHER = {"scheme": "aes-cbc", "key_encoding": "raw", "iv": "fixed"} | dict.fromkeys(
    ("key", "fixed_iv", "mac_key"), SECRET
)
_PROVIDERS: list[dict[str, Any]] = [
    {"kind": "genesys", "region": "eu-central-1", "client_id": "c", "client_secret": SECRET},
    {"kind": "finbourne", "domain": "example", "base_url": f"https://u:{SECRET}@x"},
    {"kind": "wibmo", "base_url": "https://wibmo.test", "api_key": SECRET, "cipher": _CIPHER},
]


def _changed(document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return *document* with other values; its kind is no secret, and an unknown one is told."""
    names = sorted(set(document) - {"kind"})
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=2).map(lambda changes: {**document, **changes})


_CIPHERS = _changed(_CIPHER).map(lambda cipher: {**_PROVIDERS[2], "cipher": cipher})


def _tell_settings(document: object) -> object:
    try:
        return _SETTINGS.validate_python(document) and None  # a URL is no secret once it has been accepted
    except ValidationError as error:
        return [fault["msg"] for fault in error.errors()]  # where it was is told, and what was wrong, not what it was


PROVIDERS: list[Inlet] = [
    *map(_cipher_inlet, _SCHEMES),
    Inlet(
        "answer of a provider",
        st.tuples(
            st.integers(100, 999),
            st.dictionaries(st.sampled_from(_FIELDS), _ASKED, max_size=4),
            spoilt(_FAULTS) | _JSON | VALUES.map(written),
        ),
        _tell_answer,
        lambda body: (401, {}, body[:BODY_CAP]),
    ),
    Inlet(
        "Retry-After",
        st.tuples(_ASKED, _ASKED, _ASKED),
        _tell_wait,
        lambda body: (body[:8192].decode("utf-8", "surrogateescape"),) * 3,
    ),
    Inlet("HTTP", spoilt(_HTTP), _tell_http, lambda body: _HTTP[0][:-2].replace(b"2\r", b"%d\r" % len(body)) + body),
    Inlet(
        "settings of a provider",
        st.sampled_from(_PROVIDERS).flatmap(_changed) | _CIPHERS,
        _tell_settings,
        lambda body: {**_PROVIDERS[2], "api_key": repr(body)},
    ),
]
