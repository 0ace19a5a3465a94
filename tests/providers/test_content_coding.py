"""Compressed answers, which nobody asked for: understood within the cap, else named."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable

import aiohttp
import pytest
from calls import sealed_call
from fake_provider import FakeProvider
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from test_genesys import genesys

from tasks.outcome import Permanent, Reason, Settled, State, Transient
from tasks.providers.headers import plain_body
from tasks.providers.http import BODY_CAP

DELETE_TOKENS_ME = sealed_call("genesys.delete_tokens_me", "genesys-eu")
DEAD = json.dumps({"code": "bad.credentials", "status": 401}).encode()


def raw_deflate(body: bytes) -> bytes:
    """Return *body* as servers send it that leave the zlib frame out."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
    "gzip and identity": ("gzip, identity", gzip.compress),
    "nothing": ("", bytes),
}


@pytest.mark.parametrize("packer", PACKERS)
async def test_a_compressed_answer_is_understood(
    server: FakeProvider, session: aiohttp.ClientSession, packer: str
) -> None:
    """Dead already is dead already, however it was packed."""
    coding, pack = PACKERS[packer]
    server.will_answer(401, pack(DEAD), {"Content-Encoding": coding, "Content-Type": "application/json"})
    outcome = await genesys(server.url, session).execute(DELETE_TOKENS_ME)
    assert isinstance(outcome, Settled)
    assert outcome.state is State.ALREADY_REVOKED


BOMB = gzip.compress(b" " * 30_000_000)
UNREADABLE = {
    "br": ("br", DEAD, "br"),
    "zstd": ("zstd", DEAD, "zstd"),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(DEAD)), "gzip/gzip"),
    "not gzip at all": ("gzip", DEAD, "gzip"),
    "another coding": ("deflate", gzip.compress(DEAD), "deflate"),
    "cut": ("gzip", gzip.compress(DEAD)[:-1], "gzip"),
    "more behind it": ("gzip", gzip.compress(DEAD) + b"x", "gzip"),
    "a second member": ("gzip", gzip.compress(DEAD) + gzip.compress(b" "), "gzip"),
    "a bomb": ("gzip", BOMB, "gzip"),
    "a byte too much": ("gzip", gzip.compress(b" " * (BODY_CAP + 1)), "gzip"),
}


@pytest.mark.parametrize("unreadable", UNREADABLE)
async def test_what_cannot_be_unpacked_is_a_bad_reply_that_names_the_coding(
    server: FakeProvider, session: aiohttp.ClientSession, unreadable: str
) -> None:
    """Never a success, never dead already; and whoever looks for the gateway knows what to look for."""
    coding, body, named = UNREADABLE[unreadable]
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    for status in (200, 401):
        server.will_answer(status, body, headers)
        outcome = await genesys(server.url, session).execute(DELETE_TOKENS_ME)
        assert outcome == Transient(Reason.PROVIDER_BAD_REPLY, None, {"status": str(status), "content_encoding": named})
    server.will_answer(422, body, headers)
    kept = await genesys(server.url, session).execute(DELETE_TOKENS_ME)
    assert isinstance(kept, Permanent), "a failure keeps the meaning of its status"


@pytest.mark.parametrize("packer", ["gzip", "deflate", "raw deflate"])
def test_a_body_is_unpacked_up_to_the_cap(packer: str) -> None:
    """As many bytes as an answer may have that is not packed."""
    coding, pack = PACKERS[packer]
    headers = CIMultiDict({"Content-Encoding": coding})
    for size, named in ((BODY_CAP, None), (BODY_CAP + 1, coding)):
        body, unread = plain_body(pack(b"x" * size), headers, BODY_CAP)
        assert unread == named
        assert len(body) <= BODY_CAP


def test_a_bomb_takes_no_more_memory_than_the_cap() -> None:
    """30 MB of spaces in 29 KB: it is not unpacked and then measured."""
    tracemalloc.start()
    plain_body(BOMB, {"Content-Encoding": "gzip"}, BODY_CAP)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * BODY_CAP


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "", "gzip,deflate", ",", "\x00"]))
def test_any_body_is_unpacked_or_named(body: bytes, coding: str) -> None:
    """No bytes crash it."""
    plain, unread = plain_body(body, {"content-encoding": coding}, 100)
    assert unread is None or (plain == body and unread)
