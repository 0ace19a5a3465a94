"""`revoker exposure`: how long tokens live after the event that ends them."""

import click

from worker.cli.output import Column, Document, Form, Listing, members, note, output_option
from worker.operations import exposure as operation
from worker.operations.exposure import Exposure, Figures, Period
from worker.operations.opening import open_ledger
from worker.operations.text import counted, seconds_in_words, short_duration
from worker.settings import Settings

_RANKS = (50, 95, 99)


def _document(each: Figures) -> Document:
    return {
        **members(each, "provider", "event_type", "period"),
        "calls": each.spread.total,
        **{f"p{rank}_seconds": each.spread.percentile(rank) for rank in _RANKS},
        "longest_seconds": each.spread.percentile(100),
        **members(each, "oldest_at", "late", "overdue", "burn"),
    }


def _burn(each: Figures) -> str:
    return "" if each.burn is None else f"{each.burn:.1f}"


def _percentile(rank: int) -> Column[Figures]:
    return Column(f"P{rank}", lambda each: seconds_in_words(each.spread.percentile(rank)), right=True)


_LISTING: Listing[Figures] = Listing(
    "exposure",
    (
        Column("PROVIDER", lambda each: each.provider, cut=1),
        Column("EVENT", lambda each: each.event_type, cut=2),
        Column("OVER", lambda each: each.period.value),
        Column("CALLS", lambda each: counted(each.spread.total), right=True),
        *map(_percentile, _RANKS),
        Column("LONGEST", lambda each: seconds_in_words(each.spread.percentile(100)), right=True),
        Column("BURN", _burn, right=True),
        Column("LATE", lambda each: counted(each.late), right=True, wide_only=True),
        Column("OVERDUE", lambda each: counted(each.overdue), right=True, wide_only=True),
        Column("OLDEST EVENT", lambda each: each.oldest_at, wide_only=True),
    ),
    _document,
)


@click.command()
@output_option
def exposure(form: Form) -> None:
    """How long tokens live after the event that ends them: now, and over the last hour, day and week.

    OVER now: what is not settled yet, and since when. P50: half of the calls took no longer than that; it is a bound
    by which they are counted. BURN: how fast the error budget is spent; above 1 faster than it may be.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = operation.exposure(settings, ledger)
    if found.figures or form.is_json:
        _LISTING.show(form, found.figures, **_summary(found))
    note(*_in_words(found))


def _summary(found: Exposure) -> Document:
    slo = {"within_seconds": found.slo.within, "objective": found.slo.objective}
    return {"at": found.at, "slo": slo, "overall": [_document(each) for each in found.overall.values()]}


def _in_words(found: Exposure) -> list[str]:
    now, within = found.overall[Period.NOW], seconds_in_words(found.slo.within)
    oldest = f", the oldest for {short_duration(found.at - now.oldest_at)}" if now.oldest_at else ""
    burns = ", ".join(f"{period} {_burn(each) or '-'}" for period, each in found.overall.items() if each is not now)
    return [
        f"{counted(now.spread.total)} exposed{oldest}",
        f"{found.slo.objective * 100:g} % are to be settled within {within}; the budget burns: {burns}",
    ]
