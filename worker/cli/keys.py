"""`revoker keys`: the sealing keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from tasks.sealing import ALGORITHMS, generate_key, save_key
from worker.admission import signing
from worker.cli.output import Column, Form, Listing, output_option, say, show_one
from worker.cli.sealing_keys import StoredKey, public_jwks, stored_keys
from worker.cli.tree import Commands
from worker.settings import Settings

keys = Commands("keys", help="Sealing keys: generate, list, export. Producers' signing keys: generate-signing.")

_folder = click.option(
    "--keys-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: Settings.load().keys_dir,
    show_default="the setting keys_dir",
    help="Folder of the private keys.",
)

_LISTING: Listing[StoredKey] = Listing(
    "sealing_key",
    (
        Column("KID", lambda each: each.key.kid, cut=1),
        Column("ALGORITHM", lambda each: each.algorithm),
        Column("CREATED", lambda each: each.created),
        Column("FINGERPRINT", lambda each: each.fingerprint, cut=1),
    ),
    lambda each: {
        "kid": each.key.kid,
        "algorithm": each.algorithm,
        "created": each.created,
        "fingerprint": each.fingerprint,
    },
)


@keys.command()
@_folder
@click.option("--kid", help="Its name; default: revocation- and the time.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True)
@click.option("--if-none", is_flag=True, help="Leave it at the keys that are there.")
@output_option
def generate(keys_dir: Path, kid: str | None, algorithm: str, form: Form, *, if_none: bool) -> None:
    """Make a private key. Workers take it up without a restart; the old ones keep serving."""
    if if_none and keys_dir.is_dir() and stored_keys(keys_dir):
        say("there is a key already")
        return
    name = kid or f"revocation-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = save_key(keys_dir, generate_key(name, algorithm))
    show_one(
        form, "sealing_key", _LISTING.document(next(each for each in stored_keys(keys_dir) if each.key.kid == name))
    )
    say(f"written to {path}; give producers its public half: revoker keys export")


@keys.command("list")
@_folder
@output_option
def list_(keys_dir: Path, form: Form) -> None:
    """List the private keys, newest first."""
    found = stored_keys(keys_dir)
    _LISTING.show(form, found)
    say(f"{len(found)} in {keys_dir}")


@keys.command()
@_folder
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
        say(f"written to {file}; name a copy of it, mode 0600, as the keys of its source")
        return
    click.echo(json.dumps({"keys": [key.as_dict(private=False)]}, indent=2))
    say(f"written to {file}")
