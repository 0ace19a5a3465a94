"""Calls for the items of a list: shown below the call that listed them, and proved by its empty list."""

from dataclasses import replace
from typing import Any

from tasks.outcome import State
from tasks.providers.declared import REVOKE_LISTED, REVOKE_USER
from worker.ledger import CallRow
from worker.operations.listed_calls import in_families, is_listed, is_proved_by, parents

_NOTHING: dict[str, Any] = dict.fromkeys(CallRow.__dataclass_fields__)
LIST = CallRow(
    **_NOTHING
    | {"kind": "call", "call_id": "list", "source": "s", "event_id": "e", "provider": "acme"}
    | {"operation": REVOKE_USER, "state": State.RETRYING, "detail": {}}
)
ITEMS = [replace(LIST, call_id=f"item-{number}", operation=REVOKE_LISTED) for number in range(2)]
OTHER = replace(LIST, call_id="other", provider="genesys", operation="genesys.delete_token")


def test_items_stand_below_the_call_that_listed_them() -> None:
    """Of the same event at the same provider; whatever has no such call stays where it is."""
    stray = replace(ITEMS[0], call_id="stray", event_id="another")
    rows = [ITEMS[0], stray, OTHER, LIST, ITEMS[1]]
    assert in_families(rows) == [stray, OTHER, LIST, *ITEMS]
    assert [parents(rows)(row) for row in rows] == [LIST, None, None, None, LIST]
    assert [is_listed(row) for row in rows] == [True, True, False, False, True]


def test_an_empty_list_proves_every_item_and_nothing_else_does() -> None:
    """Not an empty one at the first look, by which nothing was seen to end."""
    proving = [state for state in State if is_proved_by(replace(LIST, state=state))]
    assert proving == [State.CONFIRMED]
    assert not is_proved_by(None)
