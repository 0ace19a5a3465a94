"""What an operator releases is not held back again, and nobody else can say that it was released. On each broker."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_figures import totals
from replay_desk import EVERY, MAC, Desk

from worker.broker import messages
from worker.broker.publication import Message
from worker.intake.flood.window import Limits

TYPE = "user.disabled"
ONE = Limits(600, {TYPE: 1}, {TYPE: 9}, {TYPE: 60})


@pytest.fixture
def desk(broker_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose intake lets one person of a source through."""
    made = Desk(tmp_path, broker_url)
    made.take_in(disabled(1), disabled(2), binary(3), limits=ONE)
    yield made
    made.ledger.close()


def body(number: int) -> bytes:
    """Person *number* was disabled."""
    told = {"specversion": "1.0", "id": f"e-{number}", "source": "urn:hr", "type": TYPE}
    data = {"sub_id": {"format": "opaque", "id": f"person-{number}"}}
    return json.dumps({**told, "time": datetime.now(UTC).isoformat(), "data": data}).encode()


def disabled(number: int, **headers: object) -> Message:
    """It as a structured event."""
    return messages.event(body(number), TYPE, headers=headers)


def binary(number: int) -> Message:
    """It in binary mode: what it is stands in its headers."""
    document = json.loads(body(number))
    data = json.dumps(document.pop("data")).encode()
    headers = {f"ce-{name}": value for name, value in document.items()}
    return messages.event(data, TYPE, content_type="application/json", headers=headers)


def states(desk: Desk) -> dict[str | None, str]:
    """Event id → how it stands, of what was held back."""
    return {row.event_id: row.state.value for row in desk.ledger.dead_letters(EVERY)}


def test_a_released_event_is_planned(desk: Desk) -> None:
    """In both content modes, by an intake whose limit is used up; what else comes of the flood is held back still."""
    assert states(desk) == {"e-2": "withheld", "e-3": "withheld"}
    rows = desk.ledger.dead_letters(EVERY)
    assert desk.release(rows).replayed == 2
    desk.take_in(disabled(4), limits=ONE)
    assert states(desk) == {"e-2": "replayed", "e-3": "replayed", "e-4": "withheld"}
    assert totals(desk.ledger).events == 3


def test_a_header_alone_releases_nothing(desk: Desk) -> None:
    """Not the count of a replay, not with a voucher that says so, not with the voucher of another event."""
    copied = MAC.sign(disabled(2, **{messages.REPLAYS: 1})).headers[messages.VOUCHER]
    shown: list[dict[str, object]] = [
        {messages.REPLAYS: 1},
        {messages.REPLAYS: 1, messages.VOUCHER: "true"},
        {messages.REPLAYS: 1, messages.VOUCHER: copied},
    ]
    desk.take_in(*(disabled(10 + number, **headers) for number, headers in enumerate(shown)), limits=ONE)
    assert {states(desk)[f"e-{10 + number}"] for number in range(len(shown))} == {"withheld"}
    assert totals(desk.ledger).events == 1
