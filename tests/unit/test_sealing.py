"""Sealed credentials: what is sealed opens again, ours and that of another implementation."""

from __future__ import annotations

import json

import pytest
from envelopes import AUDIENCE, CURVES, EC, ENC, KEYS, PAYLOAD, RING, RSA, TOKEN, peer_seal
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from tasks.sealing import ALGORITHMS, SealError, seal


@pytest.mark.parametrize("kind", KEYS)
def test_what_we_seal_we_open(kind: str) -> None:
    """The round trip of every kind of key, and the token does not show in what travels or in a repr."""
    sealed = seal(TOKEN, AUDIENCE, KEYS[kind])
    opened = RING.open(sealed, AUDIENCE)
    assert opened.get_secret_value() == TOKEN
    assert TOKEN not in sealed + repr(opened)


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=4096), st.sampled_from(CURVES)
)
def test_every_printable_token_survives(token: str, curve: str) -> None:
    """Quotes and backslashes too: up to 4 KiB even of nothing else."""
    assert RING.open(seal(token, AUDIENCE, KEYS[curve]), AUDIENCE).get_secret_value() == token


def test_the_longest_token_survives() -> None:
    """8 KiB is inside the limit, one more is not; nothing is sealed that would be refused on arrival."""
    assert RING.open(seal("x" * 8192, AUDIENCE, KEYS["RSA"]), AUDIENCE).get_secret_value() == "x" * 8192
    with pytest.raises(SealError, match="8192"):
        seal("x" * 8193, AUDIENCE, KEYS["RSA"])
    with pytest.raises(SealError, match="16 KiB"):
        seal("\\" * 8192, AUDIENCE, KEYS["RSA"])


@pytest.mark.parametrize("kind", KEYS)
def test_a_peer_opens_what_we_seal(kind: str) -> None:
    """The second implementation of RFC 7516 reads ours."""
    peer = JWE(algs=[*ALGORITHMS, ENC])
    key = KEYS[kind].as_dict(private=True)
    peer.deserialize(seal(TOKEN, AUDIENCE, KEYS[kind]), JWK(**key))
    assert json.loads(peer.payload) == PAYLOAD


@pytest.mark.parametrize("kind", KEYS)
def test_we_open_what_a_peer_seals(kind: str) -> None:
    """Producers use whatever library their language has."""
    sealed = peer_seal({"alg": RSA if kind == "RSA" else EC, "typ": "JWT"}, curve=kind)
    assert RING.open(sealed, AUDIENCE).get_secret_value() == TOKEN


@pytest.mark.parametrize("token", ["", " ", "a b", "a\n", "tøken"])
def test_a_token_that_could_not_be_opened_is_not_sealed(token: str) -> None:
    """The producer learns it, not the dead-letter desk."""
    with pytest.raises(SealError):
        seal(token, AUDIENCE, KEYS["P-256"])
