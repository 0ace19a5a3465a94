"""`revoker ldap`: the process that follows LDAP directories, and those that wait for an operator."""

import click

from worker import process
from worker.cli.consent import Change, changes
from worker.cli.output import Column, Form, Listing, members, note, output_option
from worker.cli.tree import Commands
from worker.observability.metrics import LDAP
from worker.operations import directories
from worker.operations.directories import Directory
from worker.operations.opening import open_ledger
from worker.operations.text import age, counted
from worker.settings import Settings

_HELP = """Follow the directories of the settings: doors of kind ldap.

With a command: the directories as they stand, and what becomes of one that is held, because it would log out more
people at once than the settings let it."""


@click.pass_context
def _follow(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        from worker.doors.ldap import main as entry  # noqa: PLC0415 - each process imports its own parts only

        process.run(entry.run, LDAP)


ldap = Commands("ldap", callback=_follow, invoke_without_command=True, help=_HELP)

_LISTING: Listing[Directory] = Listing(
    "directory",
    (
        Column("NAME", lambda each: each.name),
        Column("PEOPLE", lambda each: counted(each.people), right=True),
        Column("READ", lambda each: age(each.read_at) if each.read_at else "never", right=True),
        Column("HELD", lambda each: counted(each.held) if each.held_at else "", right=True),
        Column("WHY", lambda each: each.held_why or ""),
        Column("FOR", lambda each: age(each.held_at) if each.held_at else "", right=True),
    ),
    lambda each: members(each, "name", "people", "read_at", "held", "held_why", "held_at"),
)


@ldap.command("list")
@output_option
def list_(form: Form) -> None:
    """List the directories: how many people each has, when it told something last, and whether it is held."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = directories.standing(settings, ledger)
    if found or form.is_json:
        _LISTING.show(form, found)
    note(f"{counted(sum(each.held_at is not None for each in found))} held")


@ldap.command()
@click.argument("name")
@changes(directories.release)
def release(name: str, change: Change) -> None:
    """Have what a held directory would do take effect: its people are logged out, or let in."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = directories.one(settings, ledger, name)
        _show(found, change)
        if change.is_agreed(f"Disable or enable {counted(found.held)} people?"):
            done = directories.release(ledger, found, change.operator)
            change.show("directory_release", {"audit_id": done.audit_id, "count": done.count}, "Released")


@ldap.command()
@click.argument("name")
@changes(directories.forget)
def forget(name: str, change: Change) -> None:
    """Forget the people of a directory: it is read as if for the first time, and nobody is logged out by that."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = directories.one(settings, ledger, name)
        _show(found, change)
        if change.is_agreed(f"Forget {counted(found.people)} people?"):
            done = directories.forget(ledger, found, change.operator)
            change.show("directory_forget", {"audit_id": done.audit_id, "count": done.count}, "Forgotten")


def _show(found: Directory, change: Change) -> None:
    if not change.form.is_json or change.dry_run:
        _LISTING.show(change.form, [found], dry_run=change.dry_run)
