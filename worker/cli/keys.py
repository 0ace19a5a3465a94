"""`revoker keys`: the sealing keys."""

import json
from pathlib import Path

import click

from tasks.sealing import ALGORITHMS, CURVES
from worker.cli.consent import Change, calls, changes, operator
from worker.cli.output import Column, Document, Form, Listing, members, note, output_option, show_one
from worker.cli.tree import Commands
from worker.intake.signing import ALGORITHMS as SIGNING_ALGORITHMS
from worker.ledger import LedgerUnavailable
from worker.operations import publishing, sealing_keys
from worker.operations.opening import open_ledger
from worker.operations.sealing_keys import RETIRED, KeyChange, KeyState, NewKey, StoredKey
from worker.operations.text import age
from worker.settings import Settings, SettingsError

keys = Commands(
    "keys", help="Sealing keys: generate, list, export, retire, restore. Producers' signing keys: generate-signing."
)


_keys_dir = click.option(
    "--keys-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: Settings.load().keys_dir,
    show_default="the setting keys_dir",
    help="Folder of the private keys.",
)

_LISTING: Listing[KeyState] = Listing(
    "sealing_key",
    (
        Column("KID", lambda each: each.stored.kid, cut=1),
        Column("STATE", lambda each: each.stored.state),
        Column("AGE", lambda each: age(each.stored.created)),
        Column("LAST USE", lambda each: age(each.last_used)),
        Column("NEEDED BY", lambda each: each.needed_by),
        Column("ALGORITHM", lambda each: each.stored.algorithm, wide_only=True),
        Column("CREATED", lambda each: each.stored.created, wide_only=True),
        Column("FINGERPRINT", lambda each: each.stored.fingerprint, wide_only=True),
    ),
    lambda each: {
        **_document(each.stored),
        "last_used": each.last_used,
        "dead_letters": each.need.dead_letters if each.need else None,
        "calls": each.need.calls if each.need else None,
        "sessions": each.need.sessions if each.need else None,
        "needed_by": each.needed_by,
    },
)


def _document(stored: StoredKey) -> Document:
    return members(stored, "kid", "state", "algorithm", "created", "fingerprint")


@keys.command()
@calls(sealing_keys.generate)
@_keys_dir
@click.option("--kid", help="Its name; default: revocation- and the time.")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True)
@click.option("--curve", type=click.Choice(CURVES), help=f"Of a key for {ALGORITHMS[0]}; default: {CURVES[0]}.")
@click.option("--if-none", is_flag=True, help="Leave it at the keys that are there.")
@output_option
def generate(  # noqa: PLR0913 - an option each
    keys_dir: Path, kid: str | None, algorithm: str, curve: str | None, form: Form, *, if_none: bool
) -> None:
    """Make a private key. Workers take it up without a restart; the old ones keep serving."""
    if if_none and keys_dir.is_dir() and sealing_keys.stored_keys(keys_dir):
        note("there is a key already")
        return
    new = NewKey(algorithm, curve, kid) if kid else NewKey(algorithm, curve)
    made, recorded = sealing_keys.generate(_settings_if_any(), keys_dir, new, operator())
    show_one(form, "sealing_key", _document(made))
    note(f"written to {made.path}, {recorded.in_words()}; give producers its public half: revoker keys export")


def _settings_if_any() -> Settings | None:
    """Return the settings in force; a key can be made before there are any."""
    try:
        return Settings.load()
    except SettingsError:
        return None


@keys.command("list")
@_keys_dir
@output_option
def list_(keys_dir: Path, form: Form) -> None:
    """List the private keys, newest first: how old, when last used, and what still needs them."""
    settings = Settings.load()
    found = [*sealing_keys.stored_keys(keys_dir), *sealing_keys.retired_keys(keys_dir)]
    _LISTING.show(form, _states(settings, found))
    note(f"{len(found)} in {keys_dir}")


def _states(settings: Settings, found: list[StoredKey]) -> list[KeyState]:
    try:
        with open_ledger(settings) as ledger:
            return sealing_keys.states_of(settings, found, ledger)
    except LedgerUnavailable as error:
        note(f"what needs them is not known: {error}")
        return sealing_keys.states_of(settings, found)


@keys.command()
@_keys_dir
def export(keys_dir: Path) -> None:
    """Print the public halves as a JWK Set, newest first: what producers seal with."""
    click.echo(json.dumps(sealing_keys.exported(keys_dir), indent=2))


@keys.command()
@calls(publishing.generate_signing_key)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--kid", help="Its name; default: that of FILE up to its first dot.")
@click.option("--algorithm", type=click.Choice(SIGNING_ALGORITHMS), default=SIGNING_ALGORITHMS[0], show_default=True)
def generate_signing(file: Path, kid: str | None, algorithm: str) -> None:
    """Make a producer's signing key in FILE, and print what goes into the `keys` of its source.

    FILE is the producer's alone. An HS256 key is shared, so nothing is printed: intake and producer hold a copy each.
    """
    jwks = publishing.generate_signing_key(file, algorithm, kid)
    if jwks is None:
        note(f"written to {file}; name a copy of it, mode 0600, as the keys of its source")
        return
    click.echo(json.dumps(jwks, indent=2))
    note(f"written to {file}")


@keys.command()
@click.argument("kid")
@_keys_dir
@click.option("--destroy", is_flag=True, help="Delete a retired key for good.")
@changes(sealing_keys.change_key)
def retire(kid: str, keys_dir: Path, change: Change, *, destroy: bool) -> None:
    """Move key KID aside, unless something still needs it. Workers follow within seconds; `restore` undoes it.

    Something needs it: a dead letter, a call under way, or, while it was in use within the longest retry budget, an
    event that is still on its way. A retired key can be destroyed once it has lain aside for as long.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = sealing_keys.plan_retirement(settings, ledger, keys_dir, kid, destroy=destroy)
    fate = "deleted for good" if destroy else f"moved to {keys_dir / RETIRED}"
    note(f"{kid}: nothing needs it; it would be {fate}")
    _make(settings, planned, change, f"{'Destroy' if destroy else 'Retire'} {kid}?")


@keys.command()
@click.argument("kid")
@_keys_dir
@changes(sealing_keys.change_key)
def restore(kid: str, keys_dir: Path, change: Change) -> None:
    """Have the retired key KID serve again; then replay the dead letters `crypto.seal` that it was missed for."""
    planned = sealing_keys.plan_restoration(keys_dir, kid)
    note(f"{kid}: would serve again")
    _make(Settings.load(), planned, change, f"Restore {kid}?")


def _make(settings: Settings, planned: KeyChange, change: Change, question: str) -> None:
    if change.is_agreed(question):
        with open_ledger(settings) as ledger:
            audit = sealing_keys.change_key(ledger, planned, change.operator)
        document = {"audit_id": audit.audit_id, "action": audit.action, "kid": audit.scope}
        change.show("key_change", document, f"{audit.scope}: done")
