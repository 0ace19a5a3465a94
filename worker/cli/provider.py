"""`revoker provider`: the configured providers, and the holds that make their calls wait."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta

import click

from worker.calls.holds.hold import Hold, Scope
from worker.cli import params
from worker.cli.consent import Change, changes
from worker.cli.exits import Exit, finish
from worker.cli.output import Column, Document, Form, Listing, members, note, output_option
from worker.cli.tree import Commands
from worker.ledger import LedgerUnavailable
from worker.operations import catalogue, discovery, holds, provider_trial, providers
from worker.operations.opening import open_ledger
from worker.operations.provider_trial import Tried
from worker.operations.providers import Checked, Configured, outcome_in_words
from worker.operations.text import age, short_duration
from worker.settings import Settings

provider = Commands("provider", help="The configured providers: list, check, test, hold, release.")


def _hold_document(each: Hold) -> Document:
    names = ("provider", "scope", "source", "opened_by", "owner", "reason", "since", "until", "failed_probes")
    return members(each, *names) | {"source": each.source or None}


def _of_holds(line: Callable[[Hold], str]) -> Callable[[Configured], list[str]]:
    """A cell with a line about each hold."""
    return lambda each: [line(hold) for hold in each.holds or ()]


_LISTING: Listing[Configured] = Listing(
    "provider",
    (
        Column("NAME", lambda each: each.name),
        Column("KIND", lambda each: each.settings.kind),
        Column("CREDENTIAL", lambda each: each.credential),
        Column("STATE", lambda each: each.state),
        Column("BY", _of_holds(holds.opened_by), cut=1),
        Column("SINCE", _of_holds(lambda hold: age(hold.since))),
        Column("NEXT", _of_holds(holds.until)),
        Column("WHY", _of_holds(lambda hold: hold.reason), cut=1),
        Column("A MINUTE", lambda each: each.per_minute, wide_only=True),
        Column("HOST", lambda each: each.host, wide_only=True),
        Column("OPERATIONS", lambda each: each.operations, wide_only=True),
    ),
    lambda each: {
        "name": each.name,
        "kind": each.settings.kind,
        **members(each, "host", "operations", "credential"),
        "calls_per_minute": each.per_minute,
        "state": each.state,
        "holds": [_hold_document(hold) for hold in each.holds or ()],
    },
)

_CHECKS: Listing[Checked] = Listing(
    "provider_check",
    (
        Column("NAME", lambda each: each.name),
        Column("OK", lambda each: each.is_ok),
        Column("TOLD", lambda each: outcome_in_words(each.outcome), cut=1),
    ),
    lambda each: {"name": each.name, "ok": each.is_ok, "told": outcome_in_words(each.outcome)},
)


_TRIED: Listing[Tried] = Listing(
    "provider_test",
    (
        Column("CALL", lambda each: each.call),
        Column("CASE", lambda each: each.case),
        Column("OK", lambda each: each.is_ok),
        Column("TOLD", lambda each: each.told, cut=1),
    ),
    lambda each: {"call": each.call, "case": each.case, "ok": each.is_ok, "told": each.told},
)


@provider.command("list")
@output_option
def list_(form: Form) -> None:
    """List the configured provider instances: are they called, and if not, why, and how long."""
    settings = Settings.load()
    found = providers.configured(settings, _holds(settings))
    _LISTING.show(form, found)
    note(f"{len(found)} configured, {sum(bool(each.holds) for each in found)} held")


def _holds(settings: Settings) -> list[Hold] | None:
    try:
        with open_ledger(settings) as ledger:
            return holds.in_force(ledger)
    except LedgerUnavailable as error:
        note(f"what is held is not known: {error}")
        return None


@provider.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option
def check(names: Sequence[str], form: Form) -> None:
    """Find out whether calls could succeed now, revoking nothing. Ends with 1 where one fails."""
    checked = providers.check(Settings.load(), names)
    _CHECKS.show(form, checked)
    failed = [each for each in checked if not each.is_ok]
    note(f"{len(checked) - len(failed)} of {len(checked)} can be called")
    finish(Exit.FAILED if failed else Exit.DONE)


@provider.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def jwks(names: Sequence[str]) -> None:
    """Print the public keys by which receivers of shared signals believe us, as a JWK Set. Of kind ssf alone."""
    click.echo(json.dumps({"keys": providers.public_keys(Settings.load(), names)}, indent=2))


@provider.command()
@click.argument("name")
@click.option("--from", "from_", metavar="TABLE", required=True, help=f"One of: {', '.join(catalogue.names())}.")
@click.option("--issuer", metavar="URL", help="Ask this server where it revokes tokens (RFC 8414); for rfc7009.")
def add(name: str, from_: str, issuer: str | None) -> None:
    """Print a table of the catalogue as provider NAME. Fill in what stands in <angle brackets>, and try it."""
    click.echo(catalogue.table(from_, name) if issuer is None else _discovered(name, from_, issuer), nl=False)
    note(f"next: append it to the configuration, fill it in, write its secret file; then revoker provider test {name}")


def _discovered(name: str, from_: str, issuer: str) -> str:
    if from_ != discovery.TABLE:
        raise click.UsageError(f"--issuer goes with --from {discovery.TABLE}: other vendors' endpoints are known")
    text, server = discovery.table(name, issuer)
    note(f"a client may show itself there by {' or '.join(server.methods)}: the table has the first")
    if server.introspection is None:
        note("the server names no introspection endpoint beside it, so a success has no proof: there is no probe")
    return text


@provider.command("test")
@click.argument("name")
@output_option
def test_(name: str, form: Form) -> None:
    """Try the table of provider NAME, of kind http, on a twin made of its examples. Ends with 1 where one fails."""
    found = provider_trial.tried(provider_trial.declared_of(Settings.load(), name))
    _TRIED.show(form, found)
    failed = sum(not each.is_ok for each in found)
    note(f"{len(found) - failed} of {len(found)} cases are as they must be")
    finish(Exit.FAILED if failed else Exit.DONE)


@provider.command()
@click.argument("name")
@changes(holds.place)
@click.option("--for", "span", type=params.span, default="1h", show_default=True, help="How long: 90s, 15m, 2h, 1d.")
@click.option("--owner", metavar="WHO", help="Whom to ask about it. Default: you, as user@host.")
@click.option(
    "--scope",
    type=click.Choice(Scope, case_sensitive=False),
    default=Scope.ALL,
    show_default=True,
    help="All calls, or those made with the worker's own credential.",
)
def hold(name: str, span: timedelta, owner: str | None, scope: Scope, change: Change) -> None:
    """Have the calls of provider NAME wait in the broker, unattempted. Workers follow within about two seconds."""
    settings = Settings.load()
    providers.require_known(settings, [name])
    planned = holds.planned(name, scope, span, change.operator, owner)
    calls, duration = holds.scope_in_words(scope), short_duration(span)
    note(f"{name}: {calls} would wait for {duration}, in the name of {planned.owner}")
    if change.is_agreed(f"Hold {name}?"):
        with open_ledger(settings) as ledger:
            audit, placed = holds.place(ledger, planned, change.operator)
        result = f"{name} is held until {placed.until:%Y-%m-%d %H:%M:%S} UTC"
        change.show("hold", {"audit_id": audit.audit_id, **_hold_document(placed)}, result)


@provider.command()
@click.argument("name")
@changes(holds.release)
def release(name: str, change: Change) -> None:
    """End what holds provider NAME. A breaker's hold is not ended but probed at once: one call finds out."""
    settings = Settings.load()
    providers.require_known(settings, [name])
    with open_ledger(settings) as ledger:
        note(*holds.in_words(ledger, [name]))
        if change.is_agreed(f"Release {name}?"):
            audit, found = holds.release(ledger, name, change.operator)
            document = {"audit_id": audit.audit_id, "holds": [_hold_document(each) for each in found]}
            change.show("release", document, f"{name}: {_released(found)}")


def _released(found: Sequence[Hold]) -> str:
    if not found:
        return "nothing held it"
    probed = sum(each.is_probed for each in found)
    counts = {"ended": len(found) - probed, "to be probed now": probed}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)
