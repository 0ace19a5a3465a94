"""Signatures, beside the example of RFC 8037 and a second library: the same verdicts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from in_one_test import in_one_test
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from tasks.sealing.envelope import base64url, base64url_decoded
from worker.intake.signing import SigningKey, _is_by, _signature, generate_signing_key, is_signed, sign

L = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's base point, RFC 8032 section 5.1


def test_the_signature_of_rfc_8037_appendix_a_4() -> None:
    """The same signature over the text that is printed there, and it is good."""
    key = OKPKey.import_key(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }
    )
    text = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    made = _signature(text, key)
    assert base64url(made) == "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert _is_by(key, made, text)
    assert not _is_by(key, made, text + b"A")


KEYS: dict[str, SigningKey] = {"ed": generate_signing_key("ed"), "hs": generate_signing_key("hs", "HS256")}
BODIES = [b"", b"{}", b'{"specversion":"1.0"}', bytes(1000)]


class Registry(jws.JWSRegistry):
    """That of the second library, with our two algorithms: it knows `EdDSA` with any curve, and warns of it."""

    algorithms = {  # noqa: RUF012 - as its base has it
        "EdDSA": jws.JWSRegistry.algorithms["Ed25519"],
        "Ed25519": jws.JWSRegistry.algorithms["Ed25519"],
        "HS256": jws.JWSRegistry.algorithms["HS256"],
    }


REGISTRY = Registry(algorithms=list(Registry.algorithms))


def peer_takes(body: bytes, signature: str, key: SigningKey) -> bool:
    """Whether joserfc takes *signature*."""
    try:
        jws.deserialize_compact(signature, key, registry=REGISTRY, payload=body)
    except Exception:  # noqa: BLE001 - any is one answer
        return False
    return True


Change = Callable[[random.Random, str, bytes], str]


def unchanged(_chance: random.Random, header: str, code: bytes) -> str:
    """A good one."""
    return f"{header}..{base64url(code)}"


def flipped(chance: random.Random, header: str, code: bytes) -> str:
    """One bit of the signature."""
    changed = bytearray(code)
    changed[chance.randrange(len(code))] ^= 1 << chance.randrange(8)
    return f"{header}..{base64url(bytes(changed))}"


def resized(chance: random.Random, header: str, code: bytes) -> str:
    """Longer or shorter."""
    return f"{header}..{base64url((code + bytes(32))[: chance.choice([32, 33, 63, 64, 65, 96])])}"


def respelt(chance: random.Random, header: str, code: bytes) -> str:
    """Another last character: spare bits, or another byte."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return f"{header}..{base64url(code)[:-1]}{chance.choice(letters)}"


def with_a_larger_s(chance: random.Random, header: str, code: bytes) -> str:
    """S and a multiple of the group's order: the equation holds as well, RFC 8032 section 5.1.7 refuses it."""
    s = int.from_bytes(code[32:64], "little") + L * chance.choice([1, 2, 15])
    return f"{header}..{base64url(code[:32] + (s % 2**256).to_bytes(32, 'little'))}"


def by_another_name(chance: random.Random, header: str, code: bytes) -> str:
    """The same signature under a header that is written or named in another way."""
    members = json.loads(base64url_decoded(header) or b"")
    members["alg"] = chance.choice(["EdDSA", "Ed25519", "HS256", "HS512", "none"])
    return f"{base64url(json.dumps(members).encode())}..{base64url(code)}"


CHANGES: list[Change] = [unchanged, flipped, resized, respelt, with_a_larger_s, by_another_name]


@in_one_test
@pytest.mark.parametrize("number", range(3_000))
def test_a_second_library_takes_and_refuses_the_same(number: int) -> None:
    """Signatures, and mutants of them: taken or refused by both."""
    chance = random.Random(number)  # noqa: S311 - to have the same cases again
    key, body, change = KEYS[chance.choice(["ed", "hs"])], chance.choice(BODIES), CHANGES[number % len(CHANGES)]
    header, _, code = sign(body, key).split(".")
    signature = change(chance, header, base64url_decoded(code) or b"")
    taken = is_signed(body, signature, KEYS)
    assert taken == peer_takes(body, signature, key), f"{change.__name__}: {signature} of {body!r}"
    if change is with_a_larger_s or change is flipped:
        assert not taken, signature
    if change is unchanged:
        assert taken, signature


@pytest.mark.parametrize(("key_ops", "is_good"), [(["verify"], True), (["sign"], False), ([], False)])
@pytest.mark.parametrize("kid", KEYS)
def test_a_key_whose_own_key_ops_forbid_it_proves_nothing(kid: str, key_ops: list[str], *, is_good: bool) -> None:
    """As that library has it."""
    kind = OctKey if kid == "hs" else OKPKey
    key = kind.import_key({**KEYS[kid].as_dict(private=kid == "hs"), "key_ops": key_ops})
    assert is_signed(BODIES[1], sign(BODIES[1], KEYS[kid]), {kid: key}) is is_good
