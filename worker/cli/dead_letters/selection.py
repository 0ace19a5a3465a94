"""Which dead letters a command is about: the filters, all of which must hold."""

from typing import Any, Final

import click

from tasks.events import EVENT_TYPES
from worker.cli.exits import CommandError, Exit
from worker.cli.output import note
from worker.cli.params import gathered, moment, span
from worker.ledger import DeadLetterFilter, DeadLetterState
from worker.operations.dead_letters import Selection

_OPTIONS: Final = (
    click.argument("ids", nargs=-1, metavar="[ID]..."),
    click.option("--id", "more_ids", multiple=True, metavar="ID", help="The same as [ID]...; may be repeated."),
    click.option("--provider", help="Name of the provider instance."),
    click.option("--event-type", type=click.Choice(list(EVENT_TYPES))),
    click.option("--cause", help="Six hex digits, as `causes` shows them."),
    click.option("--subject", help="Any name of the person, as events give it."),
    click.option("--since", type=moment, help="Died at or after: RFC 3339, or how long ago (6h)."),
    click.option("--until", type=moment, help="Died before: RFC 3339, or how long ago (6h)."),
    click.option("--older-than", type=span, help="Died longer ago than: 15m, 6h, 2d."),
    click.option("--limit", type=click.IntRange(1), help="At most so many."),
    click.option("--fail-if-empty", is_flag=True, help="Exit with 4 where nothing matches."),
)
_DIED_OF: Final = "Reason of death: whole, or its leading parts (http.4xx, event)."
_BY_REASON: Final = click.option("--reason", "--died-of", "reason", help=_DIED_OF)
_BY_DIED_OF: Final = click.option("--died-of", help=_DIED_OF)
_ALL: Final = click.option("--all", "everything", is_flag=True, help="Every dead letter; else ids or filters.")
states_option: Final = click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(DeadLetterState, case_sensitive=False),
    help="Default: dead and claimed.",
)


def nothing_found() -> Exit:
    """Say that nothing matches; return the exit code of it."""
    note("nothing matches")
    return Exit.EMPTY if click.get_current_context().params["fail_if_empty"] else Exit.DONE


def _selection(
    ids: tuple[str, ...],
    more_ids: tuple[str, ...],
    subject: str | None,
    fail_if_empty: bool,  # noqa: ARG001, FBT001 - what `nothing_found` reads, as click names it
    **filters: Any,  # noqa: ANN401 - whatever the filters are
) -> Selection:
    return Selection(DeadLetterFilter(ids=ids + more_ids, **filters), subject)


def _narrowed(everything: bool, died_of: str | None, **given: Any) -> Selection:  # noqa: ANN401, FBT001 - click's names
    selection = _selection(reason=died_of, **given)
    if selection.is_everything and not everything:
        raise CommandError("nothing was changed: give ids or filters, or --all for every dead letter", Exit.REFUSED)
    return selection


# For a command that only reads: it gets the filter options as one `selection`.
selecting: Final = gathered("selection", _selection, (*_OPTIONS, _BY_REASON))
# For a command whose `--reason` is the operator's own: its filter by reason is `--died-of`. Ends the command (exit code
# 2) where it would change every dead letter without `--all`.
selecting_for_change: Final = gathered("selection", _narrowed, (*_OPTIONS, _BY_DIED_OF, _ALL))
