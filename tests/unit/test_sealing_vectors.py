"""Opening, beside the examples of the RFCs and a second library: the same secrets, the same verdicts."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from in_one_test import in_one_test
from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tasks.sealing import ALGORITHMS, ENCRYPTION, KeyRing, SealError, SealProblem, generate_key, seal
from tasks.sealing.envelope import base64url, base64url_decoded, read_envelope
from tasks.sealing.jwe import derived_key, other_info, shared_secret
from tasks.sealing.keys import SealingKey, imported_keys

AUDIENCE = "genesys"
KEYS: dict[str, SealingKey] = {
    "X25519": generate_key("x"),
    "P-256": generate_key("p", curve="P-256"),
    "RSA": generate_key("r", "RSA-OAEP-256"),
}
RING = KeyRing(KEYS.values())
WRAPPING = other_info(b"ECDH-ES+A256KW", 256)


def test_the_agreement_of_rfc_7518_appendix_c() -> None:
    """Alice's ephemeral key and Bob's on P-256 make the secret, the other info and the key that are printed there."""
    bob = ECKey.import_key(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
            "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
        }
    )
    epk = {
        "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
        "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    }
    secret = shared_secret(bob, epk)
    assert secret.hex() == "9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4"
    info = other_info(b"A128GCM", 128, b"Alice", b"Bob")
    assert info == b"\0\0\0\7A128GCM\0\0\0\5Alice\0\0\0\3Bob\0\0\0\x80"
    assert base64url(derived_key(secret, info, 128)) == "VqqN6vgjbSBcIijNcacQGg"


def test_the_agreement_of_rfc_8037_appendix_a_6() -> None:
    """The same on X25519; Bob's private half is that of RFC 7748 section 6.1."""
    private = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    bob = OKPKey.import_key(X25519PrivateKey.from_private_bytes(private))
    assert bob["x"] == "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"
    secret = shared_secret(bob, {"x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"})
    assert secret.hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def sealed_with(secret: bytes, epk: dict[str, Any], kid: str, key: bytes | None = None, iv: int = 12) -> str:
    """Seal with any *secret*, content *key* and size of the IV, as only a hostile producer does."""
    key = key or os.urandom(32)
    header = base64url(json.dumps({"alg": ALGORITHMS[0], "enc": ENCRYPTION, "kid": kid, "epk": epk}).encode())
    wrapped, nonce = aes_key_wrap(derived_key(secret, WRAPPING, 256), key), os.urandom(iv)
    closed = AESGCM(key).encrypt(nonce, json.dumps({"aud": AUDIENCE, "token": "t"}).encode(), header.encode())
    return ".".join([header, *map(base64url, (wrapped, nonce, closed[:-16], closed[-16:]))])


P = 2**255 - 19  # the field of Curve25519
U_OF_ORDER_8 = [
    int.from_bytes(bytes.fromhex(each), "little")
    for each in (
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    )
]
SMALL = [u | top << 255 for u in (0, 1, P - 1, P, P + 1, *U_OF_ORDER_8) for top in (0, 1)]


@pytest.mark.parametrize("u", SMALL)
def test_a_secret_of_zeros_opens_nothing(u: int) -> None:
    """Whoever sends a point of small order (RFC 7748 section 6.1) knows the secret: zeros, whatever our key is."""
    epk = {"kty": "OKP", "crv": "X25519", "x": base64url(u.to_bytes(32, "little"))}
    sealed = sealed_with(bytes(32), epk, "x")
    assert read_envelope(sealed).header["epk"] == epk, "only its cryptography is wrong"
    with pytest.raises(SealError) as refused:
        RING.open(sealed, AUDIENCE)
    assert refused.value.problem is SealProblem.TAMPERED


@pytest.mark.parametrize("u", SMALL)
def test_nothing_is_sealed_with_a_public_key_of_small_order(u: int) -> None:
    """Everybody could open it: such a key set is none."""
    weak = {"kty": "OKP", "crv": "X25519", "x": base64url(u.to_bytes(32, "little")), "kid": "weak"}
    good = KEYS["X25519"].as_dict(private=False)
    assert imported_keys(json.dumps({"keys": [good]}).encode(), is_set=True)
    assert imported_keys(json.dumps({"keys": [good, weak]}).encode(), is_set=True) is None


GOOD = {name: [seal(f"token-{n}", AUDIENCE, key) for n in range(8)] for name, key in KEYS.items()}
GOOD["RSA"] += [seal("x" * 6000, "another", KEYS["RSA"])]
GOOD["P-256"] += [seal("x" * 6000, "another", KEYS["P-256"])]
REGISTRY = jwe.JWERegistry(algorithms=[*ALGORITHMS, ENCRYPTION])
Chance = random.Random


def agreed(chance: Chance, **how: Any) -> str:
    """An envelope of our own making, consistent in itself, for a key on a curve."""
    key = KEYS[chance.choice(["X25519", "P-256"])]
    assert isinstance(key, OKPKey | ECKey)
    ephemeral = type(key).generate_key(key.curve_name)  # type: ignore[arg-type] # each takes its own curves
    epk = ephemeral.as_dict(private=False)
    return sealed_with(shared_secret(ephemeral, key.as_dict(private=False)), epk, str(key.kid), **how)  # type: ignore[arg-type] # strings


def segments(sealed: str) -> list[bytes]:
    """The bytes of an envelope."""
    return [base64url_decoded(each) or b"" for each in sealed.split(".")]


def joined(parts: list[bytes]) -> str:
    """An envelope of bytes."""
    return ".".join(map(base64url, parts))


def unchanged(_chance: Chance, sealed: str, _other: str) -> str:
    """A good one."""
    return sealed


def flipped(chance: Chance, sealed: str, _other: str) -> str:
    """One bit, anywhere."""
    parts = segments(sealed)
    at = chance.randrange(5)
    place = chance.randrange(len(parts[at]))
    changed = bytearray(parts[at])
    changed[place] ^= 1 << chance.randrange(8)
    return joined([*parts[:at], bytes(changed), *parts[at + 1 :]])


def resized(chance: Chance, sealed: str, _other: str) -> str:
    """A segment behind the header is cut, lengthened, or emptied."""
    parts = segments(sealed)
    at = chance.randrange(1, 5)
    size = chance.choice([0, 1, 8, 16, 24, 32, 40, len(parts[at]) - 1, len(parts[at]) + 1, len(parts[at]) + 8])
    parts[at] = (parts[at] + os.urandom(800))[:size]
    return joined(parts)


def moved(chance: Chance, sealed: str, _other: str) -> str:
    """The border between ciphertext and tag, by some bytes: together they are the same."""
    *first, ciphertext, tag = segments(sealed)
    border = chance.choice([-4, -1, 1, 4, 8])
    both, at = ciphertext + tag, len(ciphertext) + border
    return joined([*first, both[:at], both[at:]])


def exchanged(chance: Chance, sealed: str, other: str) -> str:
    """One segment is that of another envelope."""
    parts, at = segments(sealed), chance.randrange(5)
    return joined([*parts[:at], segments(other)[at], *parts[at + 1 :]])


def reheaded(chance: Chance, sealed: str, other: str) -> str:
    """A member of the header is that of another envelope, chance, or nothing."""
    header, *parts = segments(sealed)
    members = json.loads(header)
    name = chance.choice([*members, "epk", "typ"])
    epk = {**members.get("epk", {}), chance.choice("xy"): base64url(os.urandom(32))}
    members[name] = chance.choice([json.loads(segments(other)[0]).get(name), epk if name == "epk" else "chance", ""])
    return joined([json.dumps(members).encode(), *parts])


def spaced(_chance: Chance, sealed: str, _other: str) -> str:
    """The same header with a space in it: what the tag vouches for is its spelling."""
    header, *parts = segments(sealed)
    return joined([header.replace(b",", b", ", 1), *parts])


def of_other_sizes(chance: Chance, _sealed: str, _other: str) -> str:
    """A good one, or a content key or IV that AES-GCM takes and A256GCM does not."""
    return agreed(chance, key=os.urandom(chance.choice([16, 24, 32])), iv=chance.choice([12, 12, 8, 13, 16]))


CHANGES: list[Callable[[Chance, str, str], str]] = [
    *(unchanged, flipped, resized, moved, exchanged, reheaded, spaced, of_other_sizes)
]
SEEN: Counter[str] = Counter()


def peers(sealed: str) -> object:
    """The verdict with joserfc in the place of our own cryptography."""
    try:
        key = RING._key_of(read_envelope(sealed).header)
        plaintext = jwe.decrypt_compact(sealed, key, registry=REGISTRY).plaintext or b""
    except SealError as error:
        return error.problem
    except Exception:  # noqa: BLE001 - as before: one answer
        return SealProblem.TAMPERED
    held = json.loads(plaintext)
    return held["token"] if held["aud"] == AUDIENCE else SealProblem.OTHER_PROVIDER


def ours(sealed: str) -> object:
    """Our own."""
    try:
        return RING.open(sealed, AUDIENCE).get_secret_value()
    except SealError as error:
        return error.problem


@in_one_test
@pytest.mark.parametrize("number", range(10_000))
def test_a_second_library_opens_and_refuses_the_same(number: int) -> None:
    """Envelopes, and mutants of every part of them: opened with the same token, or refused for the same reason."""
    chance = random.Random(number)  # noqa: S311 - to have the same cases again
    kind = chance.choices(list(GOOD), [45, 45, 10])[0]  # RSA takes ten times as long
    change = CHANGES[number % len(CHANGES)]
    sealed = change(chance, chance.choice(GOOD[kind]), chance.choice(GOOD[chance.choice(list(GOOD))]))
    verdict = ours(sealed)
    SEEN[str(verdict) if isinstance(verdict, SealProblem) else "opened"] += 1
    assert verdict == peers(sealed), f"{change.__name__}: {sealed}"
    if number == 9_999:
        assert {name for name, count in SEEN.items() if count > 100} >= {"opened", "tampered", "header"}, SEEN


@pytest.mark.parametrize("key_ops", [["unwrapKey"], ["encrypt"], ["decrypt"]])
def test_a_key_whose_own_key_ops_forbid_it_opens_nothing(key_ops: list[str]) -> None:
    """As that library has it."""
    key = RSAKey.import_key({**KEYS["RSA"].as_dict(private=True), "key_ops": key_ops})
    sealed = GOOD["RSA"][0]
    opens = key_ops == ["decrypt"]
    try:
        told: object = KeyRing([key]).open(sealed, AUDIENCE).get_secret_value()
    except SealError as error:
        told = error.problem
    assert told == ("token-0" if opens else SealProblem.TAMPERED)
