"""Which dead letters a command is about: the filters, all of which must hold."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from tasks.events import EVENT_TYPES
from tasks.names import mask
from worker.cli.exits import CommandError, Exit
from worker.cli.output import note
from worker.cli.params import Moment, Span
from worker.ledger import (
    DeadLetterAmbiguous,
    DeadLetterFilter,
    DeadLetterNotFound,
    DeadLetterRow,
    DeadLetterState,
    Ledger,
)
from worker.operations.text import rfc3339, short_duration

if TYPE_CHECKING:
    from worker.settings import Settings

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
OPEN: Final = (DeadLetterState.DEAD, DeadLetterState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Selection:
    """What the operator asked for, as given."""

    ids: tuple[str, ...]
    provider: str | None
    event_type: str | None
    reason: str | None
    cause: str | None
    subject: str | None
    since: datetime | None
    until: datetime | None
    older_than: timedelta | None
    limit: int | None
    fail_if_empty: bool

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it down; a limit does not."""
        return not self.ids and not self._filters()

    def where(
        self, settings: Settings, ledger: Ledger, states: tuple[DeadLetterState, ...], *, newest_first: bool = True
    ) -> DeadLetterFilter:
        """The ledger's form of it; the subject becomes its keyed hash, each id prefix the one id it starts.

        Raises CommandError for a prefix that starts no id, or several.
        """
        return DeadLetterFilter(
            provider=self.provider,
            event_type=self.event_type,
            reason=self.reason,
            cause=self.cause,
            subject=settings.subjects().everywhere(self.subject) if self.subject else (),
            since=self.since,
            until=self.until,
            older_than=self.older_than,
            ids=tuple(the_one(ledger, prefix).dead_letter_id for prefix in self.ids),
            states=states,
            limit=self.limit,
            newest_first=newest_first,
        )

    def in_words(self) -> str:
        """It for the audit: the options and ids as given, the subject masked."""
        return " ".join([*self.ids, *self._filters(), *([f"--limit {self.limit}"] if self.limit else [])]) or "--all"

    def _filters(self) -> list[str]:
        given = {
            "provider": self.provider,
            "event-type": self.event_type,
            "died-of": self.reason,
            "cause": self.cause,
            "subject": mask(self.subject) if self.subject else None,
            "since": rfc3339(self.since) if self.since else None,
            "until": rfc3339(self.until) if self.until else None,
            "older-than": short_duration(self.older_than) if self.older_than else None,
        }
        return [f"--{name} {value}" for name, value in given.items() if value is not None]


_OPTIONS = (
    click.argument("ids", nargs=-1, metavar="[ID]..."),
    click.option("--id", "more_ids", multiple=True, metavar="ID", help="The same as [ID]...; may be repeated."),
    click.option("--provider", help="Name of the provider instance."),
    click.option("--event-type", type=click.Choice(list(EVENT_TYPES))),
    click.option("--cause", help="Six hex digits, as `list -o wide` shows them."),
    click.option("--subject", help="Any name of the person, as events give it."),
    click.option("--since", type=Moment(), help="Died at or after: RFC 3339, or how long ago (6h)."),
    click.option("--until", type=Moment(), help="Died before: RFC 3339, or how long ago (6h)."),
    click.option("--older-than", type=Span(), help="Died longer ago than: 15m, 6h, 2d."),
    click.option("--limit", type=click.IntRange(1), help="At most so many."),
    click.option("--fail-if-empty", is_flag=True, help="Exit with 4 where nothing matches."),
)
_DIED_OF: Final = "Reason of death: whole, or its leading parts (http.4xx, event)."
_by_reason = click.option("--reason", "--died-of", "reason", help=_DIED_OF)
_by_died_of = click.option("--died-of", "reason", help=_DIED_OF)
_REASON: Final = re.compile(r"(http|net|auth|crypto|provider|route|budget|worker|broker|guard|event)(\.\S+)?")


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command*, which only reads, the filter options; it gets them as one `selection`."""
    return _with_options(command, (*_OPTIONS, _by_reason))


def selecting_for_change(command: Callable[..., None]) -> Callable[..., None]:
    """As `selecting`, for a command whose `--reason` is the operator's own: its filter by reason is `--died-of`."""
    everything = click.option("--all", "everything", is_flag=True, help="Every dead letter; else ids or filters.")
    return _with_options(command, (*_OPTIONS, _by_died_of, everything))


def why_option(*, required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option `--reason` of a command that changes something, kept in the audit."""
    text = "Why you do it; kept in the audit."
    return click.option("--reason", "why", required=required, metavar="TEXT", callback=_a_why, help=text)


def _a_why(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """Who means to filter by reason, as `list --reason` does, must not change more than that."""
    if value and _REASON.fullmatch(value):
        raise click.BadParameter("this is why you do it; to filter by reason, use --died-of", ctx, param)
    if param.required and not (value and value.strip()):
        raise click.BadParameter("say why", ctx, param)
    return value or ""


def _with_options(command: Callable[..., None], options: Sequence[Decorator]) -> Callable[..., None]:
    @functools.wraps(command)
    def with_selection(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        given["ids"] += given.pop("more_ids")
        selection = Selection(**{each.name: given.pop(each.name) for each in fields(Selection)})
        command(selection=selection, **given)

    decorated: Callable[..., None] = with_selection
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def the_one(ledger: Ledger, prefix: str) -> DeadLetterRow:
    """The dead letter whose id starts with *prefix*. Raises CommandError where there is none, or several."""
    try:
        return ledger.dead_letter(prefix)
    except DeadLetterNotFound as missing:
        raise CommandError(f"{prefix}: {missing}", Exit.FAILED) from None
    except DeadLetterAmbiguous as several:
        raise CommandError(f"{prefix}: {several}", Exit.REFUSED) from None


def require_narrowing(selection: Selection, *, everything: bool) -> None:
    """End the command (exit code 2) where it would change every dead letter and `--all` was not said."""
    if selection.is_everything and not everything:
        raise CommandError("nothing was changed: give ids or filters, or --all for every dead letter", Exit.REFUSED)


def nothing_found(selection: Selection) -> Exit:
    """Say that nothing matches; the exit code of it."""
    note("nothing matches")
    return Exit.EMPTY if selection.fail_if_empty else Exit.DONE
