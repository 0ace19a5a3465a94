"""`revoker keys`: the sealing keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from tasks.sealing import ALGORITHMS, generate_key, save_key
from worker.cli.key_needs import KeyState, quiet_period, read_needs, state_of
from worker.cli.keys_retire import keys_dir_option, restore, retire
from worker.cli.output import Column, Document, Form, Listing, note, output_option, show_one
from worker.cli.sealing_keys import StoredKey, public_jwks, retired_keys, stored_keys
from worker.cli.tree import Commands
from worker.intake import signing
from worker.ledger import LedgerUnavailable
from worker.ledger.keys import KeyNeed
from worker.operations.text import short_duration
from worker.settings import Settings

keys = Commands(
    "keys", help="Sealing keys: generate, list, export, retire, restore. Producers' signing keys: generate-signing."
)
keys.add_command(retire)
keys.add_command(restore)


def _age(at: datetime | None) -> str | None:
    return short_duration(datetime.now(UTC) - at) if at else None


def _last_used(each: KeyState) -> datetime | None:
    return each.need.last_used if each.need else None


_LISTING: Listing[KeyState] = Listing(
    "sealing_key",
    (
        Column("KID", lambda each: each.stored.kid, cut=1),
        Column("STATE", lambda each: _state(each.stored)),
        Column("AGE", lambda each: _age(each.stored.created)),
        Column("LAST USE", lambda each: _age(_last_used(each))),
        Column("NEEDED BY", lambda each: each.needed_by),
        Column("ALGORITHM", lambda each: each.stored.algorithm, wide_only=True),
        Column("CREATED", lambda each: each.stored.created, wide_only=True),
        Column("FINGERPRINT", lambda each: each.stored.fingerprint, wide_only=True),
    ),
    lambda each: {
        **_document(each.stored),
        "last_used": _last_used(each),
        "dead_letters": each.need.dead_letters if each.need else None,
        "calls": each.need.calls if each.need else None,
        "needed_by": each.needed_by,
    },
)


def _state(stored: StoredKey) -> str:
    return "retired" if stored.is_retired else "serving"


def _document(stored: StoredKey) -> Document:
    return {
        "kid": stored.kid,
        "state": _state(stored),
        "algorithm": stored.algorithm,
        "created": stored.created,
        "fingerprint": stored.fingerprint,
    }


@keys.command()
@keys_dir_option
@click.option("--kid", help="Its name; default: revocation- and the time.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True)
@click.option("--if-none", is_flag=True, help="Leave it at the keys that are there.")
@output_option
def generate(keys_dir: Path, kid: str | None, algorithm: str, form: Form, *, if_none: bool) -> None:
    """Make a private key. Workers take it up without a restart; the old ones keep serving."""
    if if_none and keys_dir.is_dir() and stored_keys(keys_dir):
        note("there is a key already")
        return
    name = kid or f"revocation-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = save_key(keys_dir, generate_key(name, algorithm))
    show_one(form, "sealing_key", _document(next(each for each in stored_keys(keys_dir) if each.kid == name)))
    note(f"written to {path}; give producers its public half: revoker keys export")


@keys.command("list")
@keys_dir_option
@output_option
def list_(keys_dir: Path, form: Form) -> None:
    """List the private keys, newest first: how old, when last used, and what still needs them."""
    settings = Settings.load()
    needs, quiet = _needs(settings), quiet_period(settings)
    found = [state_of(each, needs, quiet) for each in (*stored_keys(keys_dir), *retired_keys(keys_dir))]
    _LISTING.show(form, found)
    note(f"{len(found)} in {keys_dir}")


def _needs(settings: Settings) -> Mapping[str, KeyNeed] | None:
    try:
        return read_needs(settings)
    except LedgerUnavailable as error:
        note(f"what needs them is not known: {error}")
        return None


@keys.command()
@keys_dir_option
def export(keys_dir: Path) -> None:
    """Print the public halves as a JWK Set, newest first: what producers seal with."""
    click.echo(json.dumps(public_jwks(stored_keys(keys_dir)), indent=2))


@keys.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kid", help="Its name; default: that of FILE up to its first dot.")
@click.option("--algorithm", type=click.Choice(signing.ALGORITHMS), default=signing.ALGORITHMS[0], show_default=True)
def generate_signing(file: Path, kid: str | None, algorithm: str) -> None:
    """Make a producer's signing key in FILE, and print what goes into the `keys` of its source.

    FILE is the producer's alone. An HS256 key is shared, so nothing is printed: intake and producer hold a copy each.
    """
    key = signing.generate_signing_key(kid or file.name.partition(".")[0], algorithm)
    signing.save_signing_key(file, key)
    if algorithm == "HS256":
        note(f"written to {file}; name a copy of it, mode 0600, as the keys of its source")
        return
    click.echo(json.dumps({"keys": [key.as_dict(private=False)]}, indent=2))
    note(f"written to {file}")
