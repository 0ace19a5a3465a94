"""`revoker console`: the process that serves the web console, its local users, and who is signed in."""

import sys
from pathlib import Path

import click

from worker import process
from worker.cli.consent import Change, changes
from worker.cli.exits import CommandError, Exit
from worker.cli.output import Column, Form, Listing, members, note, output_option
from worker.cli.tree import Commands
from worker.ledger.console_sessions import ConsoleSession
from worker.observability.metrics import CONSOLE
from worker.operations import console_sessions, console_users
from worker.operations.console_users import NamedUser, NewUser, UserChange
from worker.operations.opening import open_ledger
from worker.operations.text import age, counted
from worker.settings import Settings
from worker.settings.console_sign_in import Role
from worker.settings.files import UnfitFileError, read_secret

_HELP = """Serve the web console, at the address that the settings `console` name: http://127.0.0.1:9460 by default.

With a command: who may sign in by a password, and who is signed in."""


@click.pass_context
def _serve(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        from worker.console import main as entry  # noqa: PLC0415 - each process imports its own parts only

        process.run(entry.run, CONSOLE)


console = Commands("console", callback=_serve, invoke_without_command=True, help=_HELP)
users = Commands("users", help="Who may sign in at the console by a password: add, list, remove.")
sessions = Commands("sessions", help="Who is signed in at the console: list, end.")
console.add_command(users)
console.add_command(sessions)

_USERS: Listing[NamedUser] = Listing(
    "console_user",
    (
        Column("NAME", lambda each: each.name),
        Column("ROLE", lambda each: each.user.role),
        Column("SINCE", lambda each: age(each.user.since), right=True),
        Column("KNOWN AS", lambda each: each.user.known_as, cut=1),
    ),
    lambda each: {"name": each.name, **members(each.user, "role", "since", "known_as")},
)
_SESSIONS: Listing[ConsoleSession] = Listing(
    "console_session",
    (
        Column("ID", lambda each: each.session_id),
        Column("NAME", lambda each: each.name, cut=1),
        Column("ROLE", lambda each: each.role),
        Column("BY", lambda each: each.means),
        Column("ADDRESS", lambda each: each.address, cut=2),
        Column("BEGAN", lambda each: age(each.created), right=True),
        Column("SEEN", lambda each: age(each.seen), right=True),
    ),
    lambda each: members(each, "session_id", "name", "role", "means", "address", "created", "seen"),
)


@users.command("list")
@output_option
def list_users(form: Form) -> None:
    """List them: name, role, and the other names by which events may know them."""
    path = Settings.load().console.users_file
    found = console_users.list_users(path)
    _USERS.show(form, found)
    note(f"{len(found)} in {path}")


@users.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(Role, case_sensitive=False), required=True, help="What they may do.")
@click.option(
    "--known-as",
    multiple=True,
    metavar="NAME",
    help="Another name by which events may know them: an address, an id. A user.disabled for it ends their sessions.",
)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the password, mode 0600; without it you are asked.",
)
@click.option("--if-none", is_flag=True, help="Leave it at the users that are there, whoever they are.")
@click.option("--replace", is_flag=True, help="Replace the user of that name; their sessions are over.")
@changes(console_users.change_user)
def add_user(  # noqa: PLR0913 - an option each
    *,
    name: str,
    role: Role,
    known_as: tuple[str, ...],
    password_file: Path | None,
    if_none: bool,
    replace: bool,
    change: Change,
) -> None:
    """Let NAME sign in by a password of 15 characters or more. The file keeps what Argon2id makes of it."""
    if if_none and console_users.read_users(Settings.load().console.users_file):
        note("there are users already")
        return
    new = NewUser(role, _password(password_file), known_as)
    planned = console_users.plan_user(Settings.load().console.users_file, name, new, replaces=replace)
    _make(planned, change, f"{'Replace' if replace else 'Add'} {name} as {role.value}?")


@users.command("remove")
@click.argument("name")
@changes(console_users.change_user)
def remove_user(name: str, change: Change) -> None:
    """Let NAME sign in no more. Their sessions are over at once."""
    _make(console_users.plan_removal(Settings.load().console.users_file, name), change, f"Remove {name}?")


@sessions.command("list")
@output_option
def list_sessions(form: Form) -> None:
    """List the sessions that are not over by their age, the newest first."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = console_sessions.standing(settings.console, ledger)
    _SESSIONS.show(form, found)
    note(f"{counted(len(found))} signed in")


@sessions.command("end")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--user", "names", multiple=True, metavar="NAME", help="Every session of NAME.")
@click.option("--all", "everything", is_flag=True, help="Every session of everybody.")
@changes(console_sessions.end)
def end_sessions(*, ids: tuple[str, ...], names: tuple[str, ...], everything: bool, change: Change) -> None:
    """End sessions: whoever holds them must sign in again before anything else."""
    if not (ids or names or everything):
        raise CommandError("nothing was changed: give ids, --user, or --all for every session", Exit.REFUSED)
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        standing = console_sessions.standing(settings.console, ledger)
        found = standing if everything else console_sessions.chosen(standing, ids, names)
        if not change.form.is_json or change.dry_run:
            _SESSIONS.show(change.form, found, dry_run=change.dry_run)
        if change.is_agreed(f"End {counted(len(found))}?"):
            audit = console_sessions.end(ledger, found, change.operator)
            document = {"audit_id": audit.audit_id, "count": audit.count}
            change.show("console_sessions_end", document, f"{counted(audit.count)} ended")


def _make(planned: UserChange, change: Change, question: str) -> None:
    if change.is_agreed(question):
        with open_ledger(Settings.load()) as ledger:
            audit = console_users.change_user(ledger, planned, change.operator)
        document = {"audit_id": audit.audit_id, "action": audit.action, "name": planned.name}
        change.show("console_user_change", document, f"{planned.name}: done")


def _password(file: Path | None) -> str:
    """The password in *file*, or as somebody types it twice."""
    if file is None and not sys.stdin.isatty():
        raise CommandError("nothing was changed: without a terminal to ask on, --password-file is needed", Exit.REFUSED)
    if file is None:
        answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return answer
    try:
        return read_secret(file)
    except UnfitFileError as fault:
        raise CommandError(f"--password-file: {fault}", Exit.REFUSED) from None
