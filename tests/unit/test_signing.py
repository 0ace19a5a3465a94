"""Detached signatures: over the exact bytes, by a key of the kind that its algorithm asks for, or not at all."""

import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from worker.intake.signing import (
    ALGORITHMS,
    KeyFile,
    SigningKey,
    SigningKeyError,
    _named,
    generate_signing_key,
    is_signed,
    read_keys,
    read_signing_key,
    save_signing_key,
    sign,
)

BODY = b'{"specversion":"1.0"}'
ED = generate_signing_key("ed")
HS = generate_signing_key("hs", "HS256")
KEYS = {"ed": ED, "hs": HS}


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: dict[str, Any], key: SigningKey = HS, *, body: bytes = BODY) -> str:
    """A MAC of *key* under any header."""
    protected = b64(json.dumps(header).encode())
    made = jws.JWSRegistry.algorithms["HS256"].sign(f"{protected}.{b64(body)}".encode(), key)
    return f"{protected}..{b64(made)}"


def jwks(path: Path, *keys: dict[str, Any], mode: int = 0o600) -> Path:
    """A JWK Set in a file."""
    path.write_text(json.dumps({"keys": list(keys)}))
    path.chmod(mode)
    return path


def public(key: SigningKey) -> dict[str, Any]:
    """What the worker gets of *key*."""
    return dict(key.as_dict(private=isinstance(key, OctKey)))


@pytest.mark.parametrize("key", [ED, HS])
def test_a_signature_is_good_for_its_very_bytes(key: SigningKey) -> None:
    """Not for the same event written with one space more."""
    signature = sign(BODY, key)
    assert is_signed(BODY, signature, KEYS)
    assert not is_signed(BODY + b" ", signature, KEYS)
    assert not is_signed(BODY, signature, {})


def test_every_changed_character_breaks_a_signature() -> None:
    """Header, signature, dots: nothing in it is decoration, but for the last character's spare bits."""
    signature = sign(BODY, ED)
    for i, character in enumerate(signature[:-1]):
        other = "A" if character != "A" else "B"
        assert not is_signed(BODY, signature[:i] + other + signature[i + 1 :], KEYS), i


@pytest.mark.parametrize("algorithm", ["EdDSA", "HS256"])
def test_another_library_agrees(algorithm: str) -> None:
    """A peer signs after the RFC, and what we sign it takes."""
    key = HS if algorithm == "HS256" else ED
    peer = JWK(**{name: value for name, value in key.as_dict(private=True).items() if name not in {"alg", "use"}})
    made = JWS(BODY)
    made.allowed_algs = [algorithm]
    made.add_signature(peer, protected=json.dumps({"alg": algorithm, "kid": key.kid}))
    header, _, mac = made.serialize(compact=True).split(".")
    assert is_signed(BODY, f"{header}..{mac}", KEYS)
    ours = JWS()
    ours.allowed_algs = [algorithm]
    ours.deserialize(sign(BODY, key).replace("..", f".{b64(BODY)}."), peer)
    assert ours.is_valid


def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    """Algorithm confusion: an HS256 MAC under the bytes of a key that everybody may know."""
    x = ED.as_dict(private=False)["x"]
    for secret in (str(x), json.dumps(ED.as_dict(private=False))):
        assert not is_signed(BODY, forged({"alg": "HS256", "kid": "ed"}, OctKey.import_key(secret)), KEYS)
    assert not is_signed(BODY, forged({"alg": "EdDSA", "kid": "hs"}), KEYS), "a MAC that calls itself a signature"
    for header in ({"alg": "HS256", "kid": "ed"}, {"alg": "EdDSA", "kid": "hs"}):
        assert _named(header, KEYS) is None, "such a key never meets such an algorithm, whatever the library would say"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "hs"},
        {"alg": "HS512", "kid": "hs"},
        {"alg": "HS256"},
        {"alg": "HS256", "kid": "nobody"},
        {"alg": "HS256", "kid": ["hs"]},
        {"alg": ["HS256"], "kid": "hs"},
        {"alg": "HS256", "kid": "hs", "crit": ["b64"], "b64": False},
        {"alg": "HS256", "kid": "hs", "jwk": {"kty": "oct", "k": "AAAA"}},
        {"alg": "HS256", "kid": "hs", "jku": "https://keys.example.com"},
    ],
)
def test_another_header_is_no_proof(header: dict[str, Any]) -> None:
    """One algorithm for a key, a kid, and nothing besides: no key, address or extension out of the message itself."""
    assert is_signed(BODY, forged({"alg": "HS256", "kid": "hs"}), KEYS)
    assert not is_signed(BODY, forged(header), KEYS)


def test_a_signature_that_brings_its_own_payload_is_no_proof_of_the_body() -> None:
    """What a source once signed does not speak for other bytes."""
    whole = sign(b"something else", HS).replace("..", f".{b64(b'something else')}.")
    assert not is_signed(BODY, whole, KEYS)


@pytest.mark.parametrize("junk", [None, "", "..", "a..b", "ÿ..ÿ", "." * 5000, f"{'A' * 512}..{'A' * 86}", "W10..W10"])
def test_junk_is_no_proof(junk: str | None) -> None:
    """And never an exception: whoever publishes can write this header."""
    assert not is_signed(BODY, junk, KEYS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_key_is_a_file_for_its_owner_alone(tmp_path: Path, algorithm: str) -> None:
    """Never overwritten, read back whole, refused where others may read it."""
    key = generate_signing_key("k1", algorithm)
    save_signing_key(tmp_path / "k1.jwk", key)
    assert (tmp_path / "k1.jwk").stat().st_mode & 0o777 == 0o600
    assert is_signed(BODY, sign(BODY, read_signing_key(tmp_path / "k1.jwk")), {"k1": key})
    with pytest.raises(FileExistsError):
        save_signing_key(tmp_path / "k1.jwk", key)
    (tmp_path / "k1.jwk").chmod(0o640)
    with pytest.raises(SigningKeyError, match="open to others"):
        read_signing_key(tmp_path / "k1.jwk")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (ED.as_dict(private=True), "private key"),
        ({**public(HS), "k": "c2hvcnQ"}, "not a JWK Set"),
        ({**public(HS), "alg": "HS512"}, "not a JWK Set"),
        ({**public(ED), "alg": "HS256"}, "not a JWK Set"),
        ({**public(ED), "use": "enc"}, "not a JWK Set"),
        ({**public(ED), "kid": "../k"}, "not a JWK Set"),
        ({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"}, "not a JWK Set"),
    ],
)
def test_a_key_that_does_not_serve_is_refused(tmp_path: Path, key: dict[str, Any], said: str) -> None:
    """Named by its file, without any of its content."""
    with pytest.raises(SigningKeyError, match=f"^keys.json: .*{said}") as refused:
        read_keys(jwks(tmp_path / "keys.json", key))
    assert refused.value.__cause__ is None
    assert not any(str(value) in str(refused.value) for name, value in key.items() if name in {"d", "k", "x"})


def test_a_shared_secret_open_to_others_or_a_kid_twice_is_refused(tmp_path: Path) -> None:
    """Public keys may be read by all."""
    with pytest.raises(SigningKeyError, match="open to others"):
        read_keys(jwks(tmp_path / "open.json", public(HS), mode=0o644))
    with pytest.raises(SigningKeyError, match="same kid"):
        read_keys(jwks(tmp_path / "twice.json", public(ED), public(ED)))
    assert list(read_keys(jwks(tmp_path / "public.json", public(ED), mode=0o644))) == ["ed"]


def test_a_new_key_serves_and_an_old_one_ends_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is read again when it changes, and nothing is said of that."""
    path = jwks(tmp_path / "keys.json", public(ED))
    file = KeyFile(path)
    assert list(file.keys()) == ["ed"]
    jwks(path, public(HS), public(generate_signing_key("new")))
    assert list(file.keys()) == ["hs", "new"]
    assert not caplog.records


def removed(path: Path) -> None:
    """The file is gone."""
    path.unlink()


def dangling(path: Path) -> None:
    """A mount that is not there."""
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def a_folder(path: Path) -> None:
    """What a container runtime makes of a missing file."""
    path.unlink()
    path.mkdir()


def opened(path: Path) -> None:
    """Anybody may read the secret in it."""
    path.chmod(0o644)


def broken(path: Path) -> None:
    """Written by hand."""
    path.write_text("{")


@pytest.mark.parametrize(
    ("key", "change"),
    [*((key, change) for key in (ED, HS) for change in (removed, dangling, a_folder, broken)), (HS, opened)],
)
def test_a_file_that_can_serve_no_more_is_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: SigningKey, change: Callable[[Path], None]
) -> None:
    """Whoever takes a key away must not be believed by it; told once, however many events come; back, it serves."""
    path = jwks(tmp_path / "keys.json", public(key))
    file = KeyFile(path)
    assert is_signed(BODY, sign(BODY, key), file.keys())
    change(path)
    assert not any(is_signed(BODY, sign(BODY, key), file.keys()) for _ in range(50))
    assert [record.msg for record in caplog.records] == ["source.keys_unreadable"]
    _put_back(path, key)
    assert is_signed(BODY, sign(BODY, key), file.keys())
    change(path)
    assert file.keys() == {}
    assert [record.msg for record in caplog.records] == ["source.keys_unreadable"] * 2


def _put_back(path: Path, key: SigningKey) -> None:
    jwks(path.with_name("new.json"), public(key))
    if path.is_dir():
        path.rmdir()
    path.with_name("new.json").replace(path)


def by_another_file(path: Path, key: SigningKey) -> None:
    """Renamed onto it."""
    jwks(path.with_name("new.json"), public(key)).replace(path)


def in_place(path: Path, key: SigningKey) -> None:
    """The same file, written anew."""
    jwks(path, public(key))


def as_old_as_before(how: Callable[[Path, SigningKey], None]) -> Callable[[Path, SigningKey], None]:
    """Then its time is put back, as `cp -p`, `rsync -t` and deployments do."""

    def change(path: Path, key: SigningKey) -> None:
        before = path.stat()
        how(path, key)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    return change


@pytest.mark.parametrize("how", [by_another_file, in_place])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_of_the_same_size_and_time_is_read_again(
    tmp_path: Path, algorithm: str, how: Callable[[Path, SigningKey], None]
) -> None:
    """The old key's signature is refused from then on, the new one's taken."""
    old, new = (generate_signing_key(f"key-{number}", algorithm) for number in (1, 2))
    path = tmp_path / "keys.json"
    file = KeyFile(jwks(path, public(old)))
    assert is_signed(BODY, sign(BODY, old), file.keys())
    as_old_as_before(how)(path, new)
    assert not is_signed(BODY, sign(BODY, old), file.keys())
    assert is_signed(BODY, sign(BODY, new), file.keys())


P = 2**255 - 19
Y_OF_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
SMALL = [
    (y + again * P | sign << 255).to_bytes(32, "little")
    for y in (0, 1, P - 1, Y_OF_ORDER_8, P - Y_OF_ORDER_8)
    for again in (0, 1)
    for sign in (0, 1)
    if y + again * P < 2**255
]


@pytest.mark.parametrize("point", SMALL, ids=bytes.hex)
def test_a_key_that_fits_any_signature_is_refused_by_name(tmp_path: Path, point: bytes) -> None:
    """All fourteen encodings of a point of small order (https://eprint.iacr.org/2020/1244), in whatever company."""
    weak = {"kty": "OKP", "crv": "Ed25519", "x": b64(point), "kid": "weak"}
    with pytest.raises(SigningKeyError, match=r"^keys\.json: the key weak fits any signature"):
        read_keys(jwks(tmp_path / "keys.json", public(ED), weak))


def test_a_point_of_small_order_fits_any_signature() -> None:
    """Why such a key is refused: nobody's secret is in this signature, and it is good for every text."""
    point = (1).to_bytes(32, "little")
    assert point in SMALL
    assert len(SMALL) == 14
    weak = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64(point), "kid": "weak"})
    header = b64(json.dumps({"alg": "EdDSA", "kid": "weak"}).encode())
    assert is_signed(BODY, f"{header}..{b64(point + bytes(32))}", {"weak": weak})
