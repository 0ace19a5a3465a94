"""Tokens in clear, in whatever coding they came: each is found, and nothing else is taken for one."""

import base64
import bz2
import gzip
import html
import json
import lzma
import os
import quopri
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from event_examples import JWS, NOW, binary, ended, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from in_one_test import in_one_test

from tasks.events import parse_event
from tasks.events.codings import MOST
from tasks.events.content_mode import attribute_headers
from tasks.events.plaintext import SECRET_NAMES, is_plaintext, plaintext_path
from tasks.sealing import generate_key, seal

OPAQUE = "2YotnFZFEjr1zCsicMWpAA"
KEY = generate_key("a-key")
NAMES = ["token", "access_token", "refresh-token", "idToken", "bearer", "password", "secret", "client_secret", "apiKey",
         "Authorization"]  # fmt: skip
IN_CLEAR = [
    JWS,
    f"Bearer {OPAQUE}",
    json.dumps({"sessions": [{"provider": "finbourne", "credential": {"token": OPAQUE}}]}),
    json.dumps({"note": JWS}, indent=1),
    f"access_token={OPAQUE}&token_type=x",
    f"grant_type=x&refresh_token={OPAQUE}",
    f"Authorization: Basic {OPAQUE}\nAccept: */*",
    f"<soap><password type='x'>{OPAQUE}</password></soap>",
    f"{{'client_secret': '{OPAQUE}'}}",
]


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


CODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: _b64(text.encode()),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 in a data URL": lambda text: "data:application/json;base64," + _b64(text.encode()),
    "base64 behind a name": lambda text: "the_name_" + _b64(("\n" * 64 + text).encode()),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "base32 in lower case": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "hexadecimal behind a name": lambda text: "the_name_" + text.encode().hex().upper(),
    "hexadecimal number": lambda text: "0x" + text.encode().hex(),
    "hexadecimal pairs": lambda text: text.encode().hex(":"),
    "literals of bytes": lambda text: ", ".join(f"0x{byte:02X}" for byte in text.encode()),
    "gzip in hexadecimal": lambda text: gzip.compress(text.encode()).hex(),
    "gzip in base32": lambda text: base64.b32encode(gzip.compress(text.encode())).decode(),
    "octal escapes": lambda text: "".join(f"\\{ord(letter):03o}" for letter in text),
    "braced escapes": lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "a URL": lambda text: "https://a.example/?x=" + quote(text, safe=""),
    "JSON text": json.dumps,
    "JSON escapes": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "hex escapes": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
    "XML references": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "HTML": html.escape,
    "quoted-printable": lambda text: "".join(f"={ord(letter):02X}" for letter in text),
    "quoted-printable of e-mail": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "full width": lambda text: "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text),
    "zero width": "\u200b".join,
    "UTF-16 in base64": lambda text: _b64(text.encode("utf-16-le")),
    "UTF-32 in base64": lambda text: _b64(text.encode("utf-32-be")),
    "UTF-7": lambda text: "+" + _b64(text.encode("utf-16-be")).rstrip("=") + "-",
    "gzip": lambda text: _b64(gzip.compress(text.encode())),
    "zlib": lambda text: _b64(zlib.compress(text.encode())),
    "bzip2": lambda text: _b64(bz2.compress(text.encode())),
    "xz": lambda text: _b64(lzma.compress(text.encode(), preset=1)),
    "member of JSON": lambda text: json.dumps({"x": [text]}),
    "field of a form": lambda text: f"x={quote(text)}&y=1",
}  # fmt: skip
PLACES: dict[str, Callable[[dict[str, Any], str], object]] = {
    "/note": lambda event, text: event.update(note=text),
    "/data/more/1/x": lambda event, text: event["data"].update(more=[0, {"x": text}]),
    "/data/sessions/0/session_id": lambda event, text: event["data"]["sessions"][0].update(session_id=text),
    "/data_base64": lambda event, text: event.update(data_base64=text),
}


@in_one_test
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("coding", CODINGS)
def test_a_token_in_clear_is_found_in_every_coding(coding: str, place: str) -> None:
    """By its name or its form, in a member of any event; and the place is told."""
    for text in IN_CLEAR:
        refusal = refused(ended(lambda event, text=text: PLACES[place](event, CODINGS[coding](text))))  # type: ignore[misc]
        assert (refusal.code.value, refusal.pointer, refusal.body_storable) == ("plaintext_token", place, False), text


HEADER, PAYLOAD, SIGNATURE = JWS.split(".")


@pytest.mark.parametrize(
    "pieces",
    [
        {"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE},
        {"payload": PAYLOAD, "header": {"alg": "RS256"}, "signature": SIGNATURE},
        {"payload": PAYLOAD, "signatures": [{"protected": HEADER, "signature": SIGNATURE}]},
        json.dumps({"payload": PAYLOAD, "protected": HEADER, "signature": SIGNATURE}),
        [HEADER, PAYLOAD, SIGNATURE],
        {"a": HEADER, "b": PAYLOAD, "c": SIGNATURE},
        {"a": f"{HEADER}.", "b": f"{PAYLOAD}.{SIGNATURE}"},
        {"a": f"{HEADER}.{PAYLOAD}", "b": SIGNATURE},
        f"{HEADER} / {PAYLOAD} / {SIGNATURE}",
        f"{HEADER}\u3002{PAYLOAD}\u3002{SIGNATURE}",
    ],
)
def test_a_token_is_found_in_json_or_in_pieces(pieces: object) -> None:
    """RFC 7515 section 7.2, and what somebody took apart; a detached signature has no payload, and is none."""
    assert plaintext_path({"a": pieces}) is not None
    assert not is_plaintext(f"{HEADER}..{SIGNATURE}")


BEYOND_ASCII = {"full width", "zero width"}
WITHIN_ASCII = st.sampled_from(sorted(CODINGS.keys() - BEYOND_ASCII))


@given(st.sampled_from(IN_CLEAR), st.lists(WITHIN_ASCII, min_size=1, max_size=2), st.sampled_from(sorted(CODINGS)))
@settings(max_examples=300, deadline=None, database=None)
def test_a_token_in_clear_is_found_in_codings_within_codings(text: str, codings: list[str], last: str) -> None:
    """However often it was packed. What is longer than an event does not come that far."""
    for coding in (*codings, last):
        text = CODINGS[coding](text)
    assert is_plaintext(text)


PIECES = [
    "%",
    "\\u",
    "\\x",
    "&#",
    ";",
    "=",
    "d800",
    "H4sI",
    "eJw",
    "Qlpo",
    "/Td6WFo",
    "eyJ",
    ".",
    "AAAA",
    "token",
    "A" * 16,
]


@given(st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
@settings(max_examples=500, deadline=None, database=None)
def test_no_text_stops_who_looks_for_tokens(text: str) -> None:
    """Half a coding, or one of another kind, is text like any other."""
    assert is_plaintext(text) in {True, False}
    assert plaintext_path({text: [text]}) in {None, (text,), (text, 0)}


@pytest.mark.parametrize("name", [*NAMES, "TOKEN", "Access_Token", "API-KEY"])
def test_each_name_of_a_secret_gives_its_member_away(name: str) -> None:
    """As a member at any depth, and as a name in text that is JSON or a form itself."""
    assert {each.replace("_", "").replace("-", "").lower() for each in NAMES} == SECRET_NAMES
    assert plaintext_path({name.replace("_", " ").replace("-", "."): 1})
    assert plaintext_path({"a": [{name: 1}]}) == ("a", 0, name)
    assert is_plaintext(json.dumps({"a": {name: OPAQUE}}))
    assert is_plaintext(f"a=1&{name}={OPAQUE}")


@in_one_test
@pytest.mark.parametrize("name", ["data_base64", "DATA_BASE64", "Data_Base64"])
@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize("value", ["e30=", "////", "", 5, None])
def test_data_in_a_coding_of_its_own_is_no_json_event(name: str, *, with_data: bool, value: object) -> None:
    """CloudEvents' JSON format has it for data of any kind, instead of `data`; nobody knows what it holds."""
    edit = lambda event: (event.update({name: value}), None if with_data else event.pop("data"))  # noqa: E731
    refusal = refused(ended(edit))
    assert (refusal.code.value, refusal.pointer, refusal.body_storable) == ("invalid_request", f"/{name}", False)


HARMLESS = [
    "", "urn:example:session-timeout-job", "9f0c6e1e-3f5b-4d0e-9a53-0f2b7f6c2d11", "2026-11-21T01:15:30.250Z",
    "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01", "application/json; charset=utf-8", "a token of love",
    "https://example.com/tokens?page=2", "token-service", "token_reference_id", "Disabled, since the contract ended.",
    "urn:corp:token:revoker", "urn:corp:password:reset-portal", "ada.byron@example.com", "key=value", '{"a": [1, 2]}',
    "web.eu.example.com", "1.2.3.4", "hr/terminations", "tel:+44 20 7946 0000", "eyJ", "a=b=c", "100 %", "x" * 500,
    _b64(b"Disabled, since the contract ended."), "3" * 64, "cookie-cutter", "urn:corp:cookie:1", "00:1a:2b:3c:4d:5e",
    "6f:1d:" * 15 + "00", "2026-11-26 17:50:44", "passwords expire", "abcdefghijklmnopqrstuvwxyz", "0x1f",
]  # fmt: skip


@in_one_test
@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_and_programs_write_is_no_token(text: str) -> None:
    """An honest event that is refused is a token that lives."""
    assert not is_plaintext(text)


def test_what_looks_like_chance_is_no_token() -> None:
    """Digests, signatures, references and sealed credentials: nothing can be read out of them."""
    for _ in range(500):
        raw = os.urandom(64)
        assert not any(map(is_plaintext, (raw.hex(), _b64(raw), base64.urlsafe_b64encode(raw).decode())))
    for _ in range(20):
        assert not is_plaintext(seal(OPAQUE, "genesys", KEY))


@pytest.mark.parametrize(
    "text",
    [
        _b64(gzip.compress(b" " * (MOST + 1))),
        _b64(b"\x28\xb5\x2f\xfd" + os.urandom(40)),
        _b64(b"PK\x03\x04" + bytes(40)),
        _b64(lzma.compress(b"x" * 99, preset=9)),
        _b64(b"\xfd7zXZ\0" + bytes(40)),
    ],
    ids=["a bomb", "zstandard", "zip", "xz of 64 MiB", "broken xz"],
)
def test_what_nobody_can_look_through_is_taken_for_a_token(text: str) -> None:
    """Who sends revocations packs nothing; in doubt it is not kept."""
    assert is_plaintext(text)


@in_one_test
@pytest.mark.parametrize("coding", CODINGS)
def test_an_attribute_of_binary_mode_is_looked_into_likewise(coding: str) -> None:
    """As text or as bytes: the event is refused, and the attribute is not kept among the headers."""
    body, attributes = binary("ce-")
    for text in (CODINGS[coding](each) for each in IN_CLEAR):
        for value in (text, text.encode()):
            event = parse_event(body, now=NOW, headers={**attributes, "ce-note": value})
            assert (refused(event).code.value, refused(event).pointer) == ("plaintext_token", "/note")
            assert "ce-note" not in attribute_headers({"ce-id": "1", "ce-note": value})


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_CHANCE = b"\x00\xff\x81\xfe"
UNLUCKY = [
    *(
        magic + bytes(range(128, 188))
        for magic in (b"\x1f\x8b\x08", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh9", b"x\x9c")
    ),
    _CHANCE + b"Bearer abcdefghijklmnop" + _CHANCE * 6,
    _CHANCE * 4 + b"token=abcdef0123456789&x" + _CHANCE,
    bytes(40),
]


@in_one_test
@pytest.mark.parametrize("unlucky", UNLUCKY)
@pytest.mark.parametrize("place", ["key", "iv", "sealed", "tag"])
def test_no_bytes_of_chance_in_a_sealed_credential_are_a_token(place: str, unlucky: bytes) -> None:
    """A credential that is refused for what its encryption happens to look like is a session that stays alive."""
    lengths = {"key": 40, "iv": 12, "sealed": 70, "tag": 16}
    raw = {name: bytes([200]) * size for name, size in lengths.items()}
    raw[place] = unlucky if place in {"key", "sealed"} else (unlucky * 2)[-lengths[place] :]
    header = _segment(json.dumps({"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": "k"}).encode())
    assert not is_plaintext(".".join([header, *map(_segment, raw.values())]))


@given(st.binary(min_size=40, max_size=40), st.binary(min_size=12, max_size=12), st.binary(min_size=41, max_size=99))
def test_no_sealed_credential_is_taken_for_a_token(key: bytes, iv: bytes, sealed: bytes) -> None:
    """Whatever its bytes: only where all of a segment is text does it say something."""
    header = _segment(json.dumps({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "k"}).encode())
    compact = ".".join([header, *map(_segment, (b"\x00" + key, iv, b"\xff" + sealed, iv + b"\x00" * 4))])
    assert not is_plaintext(compact)
