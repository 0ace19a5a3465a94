"""Sealing keys: files for their owner alone, several side by side, replaced without a restart."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from tasks.sealing import (
    ALGORITHMS,
    KeyRing,
    SealError,
    UnknownKeyError,
    generate_key,
    kid_of,
    load_keys,
    named_kids,
    public_jwks,
    save_key,
    seal,
)

TOKEN = "planted-marker-token-3f9a"
AUDIENCE = "genesys-eu"
EC, RSA = ALGORITHMS
P256 = generate_key("key-p256", EC, "P-256")
KEYS = {EC: generate_key("key-ECD"), RSA: generate_key("key-RSA", RSA), "P-256": P256}
RING = KeyRing(KEYS.values())
OTHER_P256 = generate_key("other", EC, "P-256").as_dict(private=False)
STRANGERS = [generate_key(f"nobodys-{number}") for number in range(3)]


def test_the_published_set_holds_no_private_half() -> None:
    """Producers get kid, alg, use and the public numbers."""
    published = public_jwks(KEYS.values())["keys"]
    assert [key["kid"] for key in published] == [key.kid for key in KEYS.values()]
    assert not any({"d", "p", "q", "dp", "dq", "qi"} & key.keys() for key in published)


def test_keys_are_saved_for_their_owner_alone_and_loaded_again(tmp_path: Path) -> None:
    """The folder is the ring: several keys side by side."""
    paths = [save_key(tmp_path, key) for key in KEYS.values()]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    ring = load_keys(tmp_path)
    assert ring.kids == RING.kids
    assert ring.open(seal(TOKEN, AUDIENCE, KEYS[RSA]), AUDIENCE).get_secret_value() == TOKEN


def test_a_new_key_serves_without_a_restart(tmp_path: Path) -> None:
    """Once the ring was told to read its folder again; a removed key is then gone."""
    old = save_key(tmp_path, KEYS[RSA])
    ring = load_keys(tmp_path)
    save_key(tmp_path, KEYS[EC])
    old.unlink()
    with pytest.raises(UnknownKeyError):
        ring.open(seal(TOKEN, AUDIENCE, KEYS[EC]), AUDIENCE)
    assert ring.reload()
    assert ring.open(seal(TOKEN, AUDIENCE, KEYS[EC]), AUDIENCE).get_secret_value() == TOKEN
    assert ring.kids == (KEYS[EC].kid,)


def test_opening_reads_no_file() -> None:
    """Whatever a credential names, a thousand times over: it is done on the loop that makes everybody's calls."""
    ring = KeyRing([KEYS[RSA]], reload=lambda: pytest.fail("the folder is read"))
    for number in range(1000):
        with pytest.raises(UnknownKeyError):
            ring.open(seal(TOKEN, AUDIENCE, STRANGERS[number % 3]), AUDIENCE)


def test_a_reload_that_finds_an_unfit_key_leaves_the_ring_as_it_was(tmp_path: Path) -> None:
    """A botched deployment takes no key away from the messages that need it."""
    old = save_key(tmp_path, KEYS[EC])
    ring = load_keys(tmp_path)
    old.unlink()
    with pytest.raises(SealError, match="holds no"):
        ring.reload()
    save_key(tmp_path, KEYS[RSA]).chmod(0o644)
    with pytest.raises(SealError, match=str(KEYS[RSA].kid)):
        ring.reload()
    assert ring.open(seal(TOKEN, AUDIENCE, KEYS[EC]), AUDIENCE).get_secret_value() == TOKEN


def test_the_ring_knows_which_keys_opened_something() -> None:
    """Each time it is asked: since the last time. What could not be opened is no use."""
    ring = KeyRing(KEYS.values())
    ring.open(seal(TOKEN, AUDIENCE, KEYS[EC]), AUDIENCE)
    with pytest.raises(SealError):
        ring.open(seal(TOKEN, "another", KEYS[RSA]), AUDIENCE)
    assert ring.take_used() == {KEYS[EC].kid}
    assert ring.take_used() == set()


@pytest.mark.parametrize("escape", [str, lambda text: "".join(f"\\u{ord(each):04x}" for each in text)])
def test_the_keys_that_a_document_names_are_found(escape: Callable[[str], str]) -> None:
    """Wherever its sealed credentials stand, however they are escaped, and whatever else stands there."""
    sealed = [escape(seal(TOKEN, AUDIENCE, key)) for key in KEYS.values()]
    more = f'"b": ["{sealed[1]}", "{sealed[2]}"], "c": "eyJ.e.e.e.e", "d": "eyJhIjoxfQ.a.b.c.d"'
    document = f'{{"a": [{{"jwe": "{sealed[0]}"}}], {more}}}'
    assert set(named_kids(document)) == set(RING.kids)


@pytest.mark.parametrize("kid", ["", "\ud800", "k" * 129, "a\0b", 7, None, ["k"]])
def test_a_name_that_no_key_can_have_is_none(kid: object) -> None:
    """It goes into the plan's record and the ledger: half a surrogate pair would stop the intake."""
    header = base64.urlsafe_b64encode(json.dumps({"kid": kid}).encode()).rstrip(b"=").decode()
    assert kid_of(f"{header}.a.b.c.d") is None


def test_a_document_that_is_no_json_names_its_keys_as_well() -> None:
    """A message that was cut, or never was one, may still be replayed."""
    assert set(named_kids(f'{{"jwe": "{seal(TOKEN, AUDIENCE, KEYS[EC])}')) == {KEYS[EC].kid}


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Its messages could never be opened again."""
    save_key(tmp_path, KEYS[EC])
    with pytest.raises(SealError, match="exists already"):
        save_key(tmp_path, generate_key(str(KEYS[EC].kid)))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused_by_name(tmp_path: Path, mode: int) -> None:
    """The operator is told which file, and nothing of what is in it."""
    path = save_key(tmp_path, KEYS[EC])
    path.chmod(mode)
    with pytest.raises(SealError, match=path.name):
        load_keys(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"kty":"oct","k":"c2VjcmV0LW1hcmtlcg","kid":"k"}',
        json.dumps(KEYS[EC].as_dict(private=False)),
        json.dumps(
            {
                "kty": "OKP",
                "crv": "X25519",
                "x": "A" * 43,
                "d": "c2VjcmV0LW1hcmtlci1vZi1hLWtleS1vZi0zMi1ieXQ",
                "kid": "k",
            }
        ),
        json.dumps(P256.as_dict(private=True) | {"x": "A" * 43, "y": "A" * 43}),
        json.dumps(P256.as_dict(private=True) | {name: OTHER_P256[name] for name in ("x", "y")}),
        json.dumps(KEYS[EC].as_dict(private=True) | {"x": STRANGERS[0]["x"]}),
        json.dumps(KEYS[EC].as_dict(private=True) | {"kty": "EC"}),
        json.dumps({"keys": [KEYS[EC].as_dict(private=True)]}),
        json.dumps(OKPKey.generate_key("Ed25519", {"kid": "k"}).as_dict(private=True)),
    ],
    ids=[
        "empty",
        "broken",
        "list",
        "symmetric",
        "public",
        "a point of small order",
        "a point that is not on the curve",
        "the point of another key on P-256",
        "the point of another key on X25519",
        "of two types",
        "a set",
        "a signing key",
    ],
)
def test_a_file_that_is_no_private_key_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """A broken deployment is told at the start, without the file's content."""
    path = tmp_path / "broken.jwk.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(SealError, match=r"broken\.jwk\.json") as caught:
        load_keys(tmp_path)
    assert "c2VjcmV0" not in "".join(traceback.format_exception(caught.value))


def test_an_empty_key_folder_is_refused(tmp_path: Path) -> None:
    """A worker that can open nothing would dead-letter everything."""
    with pytest.raises(SealError, match="holds no"):
        load_keys(tmp_path)


@pytest.mark.parametrize(
    ("kid", "algorithm", "curve"),
    [
        ("", EC, None),
        ("../up", EC, None),
        (".hidden", EC, None),
        ("k", "dir", None),
        ("k", "RSA1_5", None),
        ("k", EC, "P-384"),
        ("k", EC, "Ed25519"),
        ("k", RSA, "X25519"),
    ],
)
def test_a_key_that_could_not_serve_is_not_made(kid: str, algorithm: str, curve: str | None) -> None:
    """The kid becomes a file name, the algorithm a promise."""
    with pytest.raises(SealError):
        generate_key(kid, algorithm, curve)


def test_a_kid_twice_is_refused() -> None:
    """Which of the two would serve is nobody's guess."""
    with pytest.raises(SealError, match="same kid"):
        KeyRing([generate_key("twin"), generate_key("twin")])
