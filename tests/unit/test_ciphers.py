"""Ciphers of encrypted bodies: round trips, a second implementation, and one error for everything unreadable."""

from __future__ import annotations

import base64
import json
import subprocess
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from in_one_test import in_one_test
from pydantic import ValidationError

from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.providers.wibmo.ciphers.schemes import Cipher, CipherError, decrypt_json, make_cipher


def rsa_pems(bits: int = 2048) -> tuple[str, str]:
    """Make a private and a public PEM."""
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


MARKER = "bWFya2VyLW1hcmtlci1tYXJrZXI"  # not of any good length
KEYS = {bits: bytes(range(bits // 8)).hex() for bits in (128, 192, 256)}
OUR_PEM, OUR_PUBLIC = rsa_pems()
THEIR_PEM, THEIR_PUBLIC = rsa_pems()
IV = "000102030405060708090a0b0c0d0e0f"
MAC_KEY = "aa" * 32


def cipher(scheme: str, bits: int = 256, **more: Any) -> Cipher:
    """Make a cipher with a hex key of *bits*."""
    return make_cipher(CipherConfig.model_validate({"scheme": scheme, "key": KEYS[bits], "key_encoding": "hex"} | more))


ALL = {
    f"{scheme}-{bits}-{encoding}": cipher(scheme, bits, encoding=encoding, accept_risk=risk)
    for scheme, risk in (("aes-gcm", None), ("aes-cbc", None), ("aes-ecb", "aes-ecb"))
    for bits in KEYS
    for encoding in ("base64", "base64url", "hex")
} | {
    "aes-cbc-zero": cipher("aes-cbc", 192, iv="zero"),
    "aes-cbc-fixed": cipher("aes-cbc", 192, iv="fixed", fixed_iv=IV),
    "aes-cbc-mac": cipher("aes-cbc", 192, mac_key=MAC_KEY),
    "aes-cbc-zero-mac": cipher("aes-cbc", 192, iv="zero", mac_key=MAC_KEY, encoding="hex"),
    "jwe-dir": cipher("jwe"),
    "jwe-rsa": cipher("jwe", key=OUR_PEM),
    "none": cipher("none", accept_risk="none"),
}
AUTHENTICATED = ["aes-gcm-256-base64", "aes-gcm-128-base64url", "aes-gcm-192-hex", "aes-cbc-mac", "jwe-dir", "jwe-rsa"]
WITHOUT_IV = ["aes-cbc-zero-mac"]


def unreadable(reader: Cipher, data: bytes) -> CipherError:
    """Decrypt, expect the one refusal, and see that nothing hangs on to it."""
    with pytest.raises(CipherError) as caught:
        reader.decrypt(data)
    error = caught.value
    assert (type(error), error.args) == (CipherError, ("the encrypted message cannot be read",))
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


@in_one_test
@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)
@given(plaintext=st.binary(max_size=200))
def test_what_is_encrypted_decrypts_and_is_ascii(name: str, plaintext: bytes) -> None:
    """The round trip of every scheme, key length and coding; text/plain bodies are ASCII."""
    sent = ALL[name].encrypt(plaintext)
    assert ALL[name].decrypt(sent) == plaintext
    assert sent.isascii() or name == "none"


@pytest.mark.parametrize("name", [*AUTHENTICATED, "aes-cbc-128-hex", "aes-cbc-192-base64", "aes-cbc-256-base64url"])
def test_the_same_body_never_looks_the_same_twice(name: str) -> None:
    """A fresh IV for every call, so a retry tells nothing."""
    assert len({ALL[name].encrypt(b"same") for _ in range(50)}) == 50


def openssl(arguments: list[str], data: bytes) -> bytes:
    """Run the peer."""
    return subprocess.run(["openssl", "enc", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("bits", KEYS)
@pytest.mark.parametrize("iv", ["prefix", "fixed", "zero"])
def test_openssl_reads_and_writes_the_same_cbc(bits: int, iv: str) -> None:
    """The peer's PKCS 7 padding and CBC are ours, with the IV in front, fixed, or zero."""
    ours = cipher("aes-cbc", bits, iv=iv, fixed_iv=IV if iv == "fixed" else None)
    raw = base64.b64decode(ours.encrypt(b"a body of two blocks"))
    front = raw[:16] if iv == "prefix" else b""
    vector = front.hex() or (IV if iv == "fixed" else "00" * 16)
    arguments = [f"-aes-{bits}-cbc", "-K", KEYS[bits], "-iv", vector]
    assert openssl(["-d", *arguments], raw[len(front) :]) == b"a body of two blocks"
    assert ours.decrypt(base64.b64encode(front + openssl(arguments, b"from the peer"))) == b"from the peer"


@pytest.mark.parametrize("bits", KEYS)
def test_openssl_writes_the_same_ecb(bits: int) -> None:
    """Without an IV the very bytes are equal."""
    sent = cipher("aes-ecb", bits, accept_risk="aes-ecb").encrypt(b"a body of two blocks")
    assert base64.b64decode(sent) == openssl([f"-aes-{bits}-ecb", "-K", KEYS[bits]], b"a body of two blocks")


def test_openssl_makes_the_same_mac() -> None:
    """Over the IV and the ciphertext, as they travel (encrypt-then-MAC)."""
    raw = base64.b64decode(ALL["aes-cbc-mac"].encrypt(b"a body of two blocks"))
    arguments = ["-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{MAC_KEY}", "-binary"]
    made = subprocess.run(["openssl", "dgst", *arguments], input=raw[:-32], capture_output=True, check=True).stdout
    assert (len(raw), raw[-32:]) == (16 + 32 + 32, made)


def test_a_published_gcm_vector_is_read() -> None:
    """Test case 14 of the GCM specification (McGrew and Viega): zero key of 256 bits, zero nonce, one zero block."""
    body = bytes(12) + bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    assert cipher("aes-gcm", key="00" * 32).decrypt(base64.b64encode(body)) == bytes(16)


@pytest.mark.parametrize("name", AUTHENTICATED + WITHOUT_IV)
def test_every_flipped_bit_of_an_authenticated_body_gives_the_same_error(name: str) -> None:
    """Nothing is accepted that was changed on the way, and nobody learns which part was changed."""
    sent = ALL[name].encrypt(b'{"resCode":100}')
    for place in range(len(sent)):
        for bit in range(8):
            unreadable(ALL[name], sent[:place] + bytes([sent[place] ^ 1 << bit]) + sent[place + 1 :])


@in_one_test
@pytest.mark.parametrize("name", [name for name in ALL if name != "none"])
@pytest.mark.parametrize("data", [b"", b"=", b"AAAA", b"\xff\xfe", b"A" * 21, b"00" * 16, b"not base64!", b"a.b.c.d.e"])
def test_garbage_is_unreadable_and_nothing_more_is_said(name: str, data: bytes) -> None:
    """Wrong length, coding, padding or tag: one error."""
    unreadable(ALL[name], data)


@pytest.mark.parametrize("scheme", ["aes-gcm", "aes-cbc", "jwe"])
def test_a_body_of_another_key_is_unreadable(scheme: str) -> None:
    """CBC may by chance find good padding (one in 256): then the JSON inside is what fails, with the same error."""
    sent = cipher(scheme, key="ff" * 32).encrypt(b'{"resCode":100}')
    with pytest.raises(CipherError, match="cannot be read"):
        decrypt_json(cipher(scheme), sent)


@pytest.mark.parametrize("plaintext", [b"", b"{", b"[]", b"\xff", b"1", b"[" * 50000])
def test_what_is_no_json_object_is_the_same_error(plaintext: bytes) -> None:
    """A padding oracle must not come back as a JSON oracle."""
    with pytest.raises(CipherError) as caught:
        decrypt_json(ALL["aes-gcm-256-base64"], ALL["aes-gcm-256-base64"].encrypt(plaintext))
    assert (caught.value.args, caught.value.__context__) == (CipherError().args, None)


def test_an_answer_of_the_peers_rsa_key_is_read() -> None:
    """Each side encrypts to the other's public key."""
    ours = cipher("jwe", key=OUR_PEM, peer_key=THEIR_PUBLIC)
    theirs = cipher("jwe", key=THEIR_PEM, peer_key=OUR_PUBLIC)
    assert theirs.decrypt(ours.encrypt(b"question")) == b"question"
    assert ours.decrypt(theirs.encrypt(b"answer")) == b"answer"
    unreadable(ours, ours.encrypt(b"question"))


def in_lines(body: bytes, size: int = 76, end: bytes = b"\n") -> bytes:
    """Break *body* into lines, as MIME does (RFC 2045 section 6.8)."""
    return end.join(body[start : start + size] for start in range(0, len(body), size))


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "lines of 76": in_lines,
    "lines of 64, CR LF": lambda body: in_lines(body, 64, b"\r\n") + b"\r\n",
    "JSON quotes": lambda body: json.dumps(body.decode()).encode(),
    "JSON quotes, slashes escaped": lambda body: json.dumps(body.decode()).replace("/", "\\/").encode(),
    "JSON quotes around lines": lambda body: json.dumps(in_lines(body, 76, b"\r\n").decode()).encode(),
    "a byte order mark": lambda body: BOM_UTF8 + body,
    "a byte order mark and quotes": lambda body: BOM_UTF8 + json.dumps(body.decode()).encode() + b"\n",
    "an object": lambda body: json.dumps({"data": body.decode()}).encode(),
    "an object around lines": lambda body: b" " + json.dumps({"data": in_lines(body).decode()}, indent=1).encode(),
}
NO_WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "more than data": lambda body: json.dumps({"data": body.decode(), "resCode": 500}).encode(),
    "data twice": lambda body: b'{"data":"","data":"%s"}' % body,
    "another member": lambda body: json.dumps({"Data": body.decode()}).encode(),
    "an object in an object": lambda body: json.dumps({"data": {"data": body.decode()}}).encode(),
    "an array": lambda body: json.dumps([body.decode()]).encode(),
    "quotes in quotes": lambda body: json.dumps(json.dumps(body.decode())).encode(),
    "half a quote": lambda body: b'"' + body,
    "two messages": lambda body: body + b"\n" + body,
    "a mark behind it": lambda body: body + BOM_UTF8,
    "spaces in it": lambda body: body[:8] + b"  " + body[8:],
}
CODED = [name for name in ALL if name != "none"]


@in_one_test
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("name", CODED)
def test_what_services_put_around_a_message_is_taken_off(name: str, wrapping: str) -> None:
    """Line breaks, JSON quotes, a byte order mark, `{"data": …}`: none of it changes what the message says."""
    message = json.dumps({"resCode": 100, "resDesc": "SUCCESS " * 20}).encode()
    assert ALL[name].decrypt(WRAPPINGS[wrapping](ALL[name].encrypt(message))) == message


@in_one_test
@pytest.mark.parametrize("wrapping", NO_WRAPPINGS)
@pytest.mark.parametrize("name", AUTHENTICATED)
def test_what_says_more_than_the_message_is_unreadable(name: str, wrapping: str) -> None:
    """An object that holds a code beside the data may mean something else; so may whatever is not plain."""
    unreadable(ALL[name], NO_WRAPPINGS[wrapping](ALL[name].encrypt(b"x" * 40)))


def test_a_byte_order_mark_inside_is_forgiven() -> None:
    """Some libraries write one before every text."""
    for name in ALL:
        assert decrypt_json(ALL[name], ALL[name].encrypt(BOM_UTF8 + b'{"resCode":100}')) == {"resCode": 100}


@pytest.mark.parametrize(
    "inside", [b'{"a":1,"a":1}', b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":1}{}', BOM_UTF8 * 2 + b"{}"]
)
def test_what_is_inside_is_read_as_strictly_as_an_event(inside: bytes) -> None:
    """One meaning, or none."""
    reader = cipher("aes-gcm")
    with pytest.raises(CipherError):
        decrypt_json(reader, reader.encrypt(inside))


@pytest.mark.parametrize("text", [b"QUJD\n", b" QUJD ", b"QUJD\r\n"])
def test_white_space_around_a_body_is_forgiven(text: bytes) -> None:
    """Servers like to end a text with a line break."""
    reader = cipher("aes-ecb", accept_risk="aes-ecb")
    sent = reader.encrypt(b"x")
    assert reader.decrypt(text.replace(b"QUJD", sent)) == b"x"


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"scheme": "aes-ecb", "key": KEYS[128]}, "accept_risk"),
        ({"scheme": "none"}, "accept_risk"),
        ({"scheme": "none", "accept_risk": "aes-ecb"}, "accept_risk"),
        ({"scheme": "aes-gcm", "key": KEYS[128], "accept_risk": "none"}, "accept_risk"),
        ({"scheme": "aes-gcm", "key": MARKER}, "key must"),
        ({"scheme": "aes-gcm"}, "key must"),
        ({"scheme": "aes-gcm", "key": MARKER, "key_encoding": "raw"}, "key must"),
        ({"scheme": "aes-gcm", "key": MARKER, "key_encoding": "base64"}, "key must"),
        ({"scheme": "jwe", "key": KEYS[192]}, "key must"),
        ({"scheme": "jwe", "key": "-----BEGIN " + MARKER}, "key must"),
        ({"scheme": "jwe", "key": OUR_PUBLIC}, "key must"),
        ({"scheme": "jwe", "key": OUR_PEM, "peer_key": MARKER}, "peer_key"),
        ({"scheme": "jwe", "key": KEYS[256], "peer_key": THEIR_PUBLIC}, "peer_key"),
        ({"scheme": "aes-gcm", "key": KEYS[256], "iv": "zero"}, "iv"),
        ({"scheme": "aes-cbc", "key": KEYS[256], "iv": "fixed"}, "fixed_iv"),
        ({"scheme": "aes-cbc", "key": KEYS[256], "fixed_iv": IV}, "fixed_iv"),
        ({"scheme": "aes-cbc", "key": KEYS[256], "iv": "fixed", "fixed_iv": MARKER}, "fixed_iv"),
        ({"scheme": "aes-cbc", "key": KEYS[256], "mac_key": MARKER}, "mac_key"),
        ({"scheme": "aes-cbc", "key": KEYS[256], "mac_key": "aa" * 31}, "mac_key"),
        ({"scheme": "aes-cbc", "key": KEYS[256], "mac_key": KEYS[256]}, "another key"),
        ({"scheme": "aes-gcm", "key": KEYS[256], "mac_key": MAC_KEY}, "mac_key"),
        ({"scheme": "rot13", "key": MARKER}, "scheme"),
        ({"scheme": "aes-gcm", "key": KEYS[256], "kay": MARKER}, "kay"),
    ],
    ids=range(23),
)
def test_settings_that_do_not_fit_are_refused_by_field_and_never_by_value(chosen: dict[str, str], named: str) -> None:
    """A start with a wrong or a risky cipher fails, and the log of it may be read by anybody."""
    with pytest.raises(ValidationError, match=named) as caught:
        CipherConfig.model_validate({"key_encoding": "hex"} | chosen)
    assert not any(value in str(caught.value) for name, value in chosen.items() if "key" in name and len(value) > 10)


def test_secrets_do_not_show_in_a_repr() -> None:
    """Neither the settings nor the cipher made of them."""
    config = CipherConfig.model_validate({"scheme": "aes-gcm", "key": KEYS[256], "key_encoding": "hex"})
    assert KEYS[256] not in f"{config!r} {config} {make_cipher(config)!r}"


@pytest.mark.parametrize(("key", "encoding"), [("0123456789abcdef", "raw"), ("MDEyMzQ1Njc4OWFiY2RlZg==", "base64")])
def test_a_key_may_be_written_in_any_of_three_codings(key: str, encoding: str) -> None:
    """Vendors hand keys out as hex, base64 or bare text."""
    sent = cipher("aes-gcm", key=key, key_encoding=encoding).encrypt(b"x")
    assert cipher("aes-gcm", key=b"0123456789abcdef".hex()).decrypt(sent) == b"x"
