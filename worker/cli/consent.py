"""Consent: nothing is changed before the operator agrees and gives a reason."""

import getpass
import re
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import click

from tasks.outcome import Reason
from worker.cli.exits import CommandError, Exit
from worker.cli.output import Form, note, output_option, print_json
from worker.cli.params import Decorator, gathered
from worker.ledger import Operator
from worker.operations.text import plain

_FAMILIES: Final = {"event", *(reason.value.partition(".")[0] for reason in Reason)}
_REASON_OF_DEATH: Final = re.compile(rf"({'|'.join(sorted(_FAMILIES))})(\.\S+)?")


@dataclass(frozen=True, slots=True)
class Change:
    """How a change is asked for: its reason, how its result is printed, whether it is a dry run, consent given."""

    reason: str
    form: Form
    dry_run: bool
    yes: bool

    @property
    def operator(self) -> Operator:
        """The person at the keyboard, and the reason they give."""
        return operator(self.reason)

    def is_agreed(self, question: str) -> bool:
        """Whether to go on, which a dry run does not. Ends the command where the operator does not agree."""
        if not self.dry_run:
            require_consent(question, yes=self.yes)
        return not self.dry_run

    def show(self, name: str, document: Mapping[str, object], message: str) -> None:
        """Tell what was done: people on stderr by *message*, programs by *document* of the JSON schema *name*."""
        if self.form.is_json:
            print_json(name, document)
        note(f"{message}, audit {document['audit_id']}")


def operator(reason: str = "") -> Operator:
    """Return the person at the keyboard, as `user@host`, and the *reason* they give."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in a container
        user = "unknown"
    return Operator(f"{user}@{socket.gethostname()}", reason)


def calls(operation: Callable[..., object]) -> Decorator:
    """Declare that a command, which changes something, is a call of *operation*."""

    def declare(command: Callable[..., None]) -> Callable[..., None]:
        command.operation = operation  # type: ignore[attr-defined] # read by whoever walks the tree of commands
        return command

    return declare


def changes(operation: Callable[..., object], *, reason_required: bool = True) -> Decorator:
    """Declare that a command is a call of *operation*, and give it the options of a change as one `change`."""
    text = "Why you do it; kept in the audit."
    reason = click.option("--reason", required=reason_required, metavar="TEXT", callback=_validate_reason, help=text)
    dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, change nothing.")
    yes = click.option("--yes", is_flag=True, help="Do it without asking; needed where there is no terminal.")
    options = (reason, dry_run, yes, output_option)
    return lambda command: calls(operation)(gathered("change", Change, options)(command))


def require_consent(question: str, *, yes: bool) -> None:
    """Return where the operator agreed to *question*; else end the command, nothing changed (exit code 2).

    Asks on the terminal. Without one, `--yes` is the only consent: a wish for JSON is none.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("nothing was changed: without a terminal to ask on, --yes is needed", Exit.REFUSED)
    if not click.confirm(plain(question), err=True):  # it may hold a source's name
        raise CommandError("nothing was changed", Exit.REFUSED)


def _validate_reason(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """Return the operator's reason. A reason of death is refused: `list --reason` filters by it, and this does not."""
    if value and _REASON_OF_DEATH.fullmatch(value):
        raise click.BadParameter("this is why you do it; to filter by reason, use --died-of", ctx, param)
    if param.required and not (value and value.strip()):
        raise click.BadParameter("say why", ctx, param)
    return value or ""
