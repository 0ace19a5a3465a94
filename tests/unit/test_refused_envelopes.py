"""Envelopes that are refused, without a trace of the token: hostile headers, changed bytes, other shapes."""

from __future__ import annotations

import base64
import itertools
import json
import string
import traceback
from typing import Any

import pytest
from envelopes import AUDIENCE, CURVES, EC, ENC, EVERY_ALGORITHM, EVERY_ENCRYPTION, KEYS, RING, RSA, TOKEN, peer_seal
from in_one_test import in_one_test

from tasks.sealing import ALGORITHMS, SealError, SealProblem, is_canonical_compact, seal
from tasks.sealing.envelope import base64url


def refuse(sealed: str, audience: str = AUDIENCE) -> SealError:
    """Open, expect a refusal, and look for the token in everything that hangs on to it."""
    with pytest.raises(SealError) as caught:
        RING.open(sealed, audience)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    report = traceback.TracebackException.from_exception(error, capture_locals=True, limit=-4)
    frames = [frame for frame in report.stack if "/tasks/" in frame.filename]
    assert TOKEN not in f"{error!r} {[frame.locals for frame in frames]}"
    return error


@pytest.mark.parametrize("algorithm", sorted(set(EVERY_ALGORITHM) - set(ALGORITHMS)))
def test_any_other_algorithm_is_refused(algorithm: str) -> None:
    """Weak padding, shared secrets, passwords and direct agreement are not let in by a header."""
    assert "alg is not allowed" in str(refuse(peer_seal({"alg": algorithm})))


@pytest.mark.parametrize("encryption", sorted(set(EVERY_ENCRYPTION) - {ENC}))
def test_any_other_encryption_is_refused(encryption: str) -> None:
    """One authenticated encryption of the content, and no choice."""
    assert "enc is not allowed" in str(refuse(peer_seal({"enc": encryption})))


@pytest.mark.parametrize(
    "header",
    [
        {"zip": "DEF"},
        {"kid": None},
        {"apu": "QQ"},
        {"apv": "QQ"},
        {"cty": "JWT"},
        {"jku": "https://attacker.invalid/"},
        {"x5u": "https://attacker.invalid/"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_header_with_more_or_less_than_needed_is_refused(header: dict[str, Any]) -> None:
    """What compresses, or names a key elsewhere, is refused before any cryptography."""
    assert "header lacks" in str(refuse(peer_seal(header)))


def with_header(changes: dict[str, Any], curve: str) -> str:
    """Change the header of a good envelope, as a producer may that jwcrypto would not let."""
    first, rest = seal(TOKEN, AUDIENCE, KEYS[curve]).split(".", 1)
    header = json.loads(base64.urlsafe_b64decode(first + "==")) | changes
    return base64url(json.dumps(header).encode()) + "." + rest


def ephemeral(curve: str) -> dict[str, Any]:
    """The ephemeral key of a good envelope."""
    header = seal(TOKEN, AUDIENCE, KEYS[curve]).partition(".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(header + "=="))["epk"])


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    "changes",
    [
        {"crit": ["x"], "x": 1},
        {"alg": ["dir"]},
        {"alg": "none"},
        {"kid": 7},
        {"typ": {}},
        {"alg": RSA},
        {"kid": KEYS["RSA"].kid},
        {"epk": None},
        {"epk": KEYS["P-256"].as_dict(private=True)},
        {"epk": {"kty": "EC", "crv": "P-384", "x": "A" * 43, "y": "A" * 43}},
        {"epk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
        {"pad": "x" * 900},
        {"epk": KEYS["X25519"].as_dict(private=True)},
        {"epk": {"kty": "OKP", "crv": "X448", "x": "A" * 43}},
        {"epk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": "A" * 42}},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": "A" * 44}},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": 7}},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "y": "A" * 43}},
        {"epk": {"kty": "EC", "crv": "X25519", "x": "A" * 43}},
    ],
    ids=range(20),
)
def test_a_hostile_header_is_refused(curve: str, changes: dict[str, Any]) -> None:
    """Critical extensions, confused algorithms, private or off-curve ephemeral keys, other curves, and bulk."""
    refuse(with_header(changes, curve))


@pytest.mark.parametrize(("curve", "other"), [CURVES, CURVES[::-1]])
def test_an_ephemeral_key_on_the_curve_of_another_key_is_refused(curve: str, other: str) -> None:
    """Both curves have the same alg, so that says nothing of it."""
    error = refuse(with_header({"epk": ephemeral(other)}, curve))
    assert ("not on the curve" in str(error), error.problem) == (True, SealProblem.HEADER)


def test_an_unknown_kid_is_refused() -> None:
    """Nobody tries all keys."""
    assert "not in the key ring" in str(refuse(peer_seal({"kid": "stranger"})))


@pytest.mark.parametrize(
    "payload",
    [
        {"token": TOKEN},
        {"aud": AUDIENCE},
        {"aud": [AUDIENCE], "token": TOKEN},
        {"aud": AUDIENCE, "token": TOKEN, "iat": 1},
        {"aud": AUDIENCE, "token": [TOKEN]},
        {"aud": AUDIENCE, "token": ""},
        {"aud": AUDIENCE, "token": TOKEN + "\n"},
        {"aud": AUDIENCE, "token": TOKEN + "é"},
        {"aud": AUDIENCE, "token": "x" * 8193},
        [AUDIENCE, TOKEN],
        TOKEN,
        f'{{"aud":"{AUDIENCE}","token":"x","token":"{TOKEN}"}}',
        "[" * 4000,
    ],
    ids=range(13),
)
def test_a_payload_of_another_shape_is_refused(payload: object) -> None:
    """Exactly aud and token, once each, both strings, the token printable and at most 8 KiB."""
    assert "exactly an aud and a token" in str(refuse(peer_seal({}, payload)))


NEIGHBOURS = [
    "genesys",
    "genesys-eu",
    "genesys-eu-2",
    "finbourne",
    "finbourne_",
    "wibmo",
    "wibm",
    "GENESYS",
    "genesys ",
]


@in_one_test
@pytest.mark.parametrize(("sealed_for", "opened_for"), [*itertools.permutations(NEIGHBOURS, 2)])
def test_a_credential_for_another_provider_is_refused(sealed_for: str, opened_for: str) -> None:
    """A token is not sent to another instance by a mixed-up event, also where one's name begins the other's."""
    assert "another provider" in str(refuse(seal(TOKEN, sealed_for, KEYS["P-256"]), opened_for))


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("segment", range(5))
def test_a_changed_character_anywhere_is_refused(kind: str, segment: int) -> None:
    """Header, encrypted key, IV, ciphertext and tag: at the beginning, in the middle, at the end."""
    segments = seal(TOKEN, AUDIENCE, KEYS[kind]).split(".")
    whole = segments[segment]
    for place in {0, len(whole) // 2, len(whole) - 1}:
        for bit in range(7):
            changed = whole[:place] + chr(ord(whole[place]) ^ 1 << bit) + whole[place + 1 :]
            refuse(".".join([*segments[:segment], changed, *segments[segment + 1 :]]))


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def with_spare_bits(segment: str) -> str | None:
    """The same bytes in another spelling; None where the last character has no bits to spare."""
    last = ALPHABET.index(segment[-1]) | 1
    return None if len(segment) % 4 == 0 else segment[:-1] + ALPHABET[last]


@pytest.mark.parametrize("kind", KEYS)
def test_a_second_spelling_of_the_same_bytes_is_refused(kind: str) -> None:
    """A decoder drops the last character's spare bits, so that a changed envelope would open like the original."""
    segments = seal(TOKEN, AUDIENCE, KEYS[kind]).split(".")
    others = [with_spare_bits(each) for each in segments]
    assert any(others)
    for place, other in enumerate(others):
        if other is not None:
            changed = ".".join([*segments[:place], other, *segments[place + 1 :]])
            assert "not a compact JWE" in str(refuse(changed))


@pytest.mark.parametrize("sealed", ["", "a.b.c", "....", "é.a.a.a.a", "[" * 1024 + "...."])
def test_what_is_no_envelope_is_refused(sealed: str) -> None:
    """Anything may arrive as a jwe, and the answer is a refusal."""
    refuse(sealed)


def envelope_of(length: int) -> str:
    """A good envelope whose ciphertext is made longer by zeros, to that many characters in canonical base64url."""
    segments = seal(TOKEN, AUDIENCE, KEYS["P-256"]).split(".")
    rest = length - len(".".join(segments)) + len(segments[3])
    if rest % 4 == 1:  # no bytes have that many; the tag takes two more
        segments[4] += "AA"
        rest -= 2
    return ".".join([*segments[:3], "A" * rest, segments[4]])


@pytest.mark.parametrize(
    ("length", "objection"),
    [
        (16_384, "cannot be decrypted"),
        (16_385, "at most 16 KiB"),
        (20_000, "at most 16 KiB"),
        (65_536, "at most 16 KiB"),
    ],
)
def test_an_envelope_of_16_kib_is_looked_into_and_one_character_more_is_not(length: int, objection: str) -> None:
    """Only its length is wrong with it: it is canonical, and its header is a good one."""
    sealed = envelope_of(length)
    assert (len(sealed), is_canonical_compact(sealed)) == (length, True)
    assert objection in str(refuse(sealed))


@pytest.mark.parametrize(("length", "objection"), [(1024, "header lacks"), (1025, "not a small JSON object")])
def test_a_header_of_1024_characters_is_looked_into_and_one_more_is_not(length: int, objection: str) -> None:
    """The limit of the library that would read it, at its edge."""
    segments = seal(TOKEN, AUDIENCE, KEYS["P-256"]).split(".")
    size = length * 3 // 4
    header = json.dumps({"alg": EC, "enc": ENC, "kid": KEYS["P-256"].kid, "pad": ""}).encode()
    padded = header[:-2] + b"x" * (size - len(header)) + header[-2:]
    encoded = base64url(padded)
    if length % 4 == 1:  # as many characters as no bytes have: what is longer by one byte is longer by two
        encoded = base64url(padded[:-2] + b"x" + padded[-2:])
    assert len(encoded) >= length
    assert objection in str(refuse(".".join([encoded, *segments[1:]])))
