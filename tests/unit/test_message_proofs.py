"""What the headers of a message prove: ours need our MAC to be believed, and stay when we move the message."""

from dataclasses import replace
from typing import Any, Final

import pytest
from arrived_messages import MAC, Arrived, body, said

from worker.broker import messages
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message

FORGERIES: Final = {
    messages.USER: "idp",
    messages.DOOR: messages.CELERY_DOOR,
    messages.REPLAYS: 1,
    messages.REPLAY_PROVIDER: "genesys",
}


@pytest.mark.parametrize("name", [messages.SIGNATURE, "user_id"])
def test_a_token_where_a_proof_should_be_is_not_kept(name: str) -> None:
    """A dead letter carries what proves its event, for a replay; a token in clear proves nothing."""
    token = "eyJhbGciOiJub25lIn0.c2VjcmV0.c2ln"
    headers = {messages.SIGNATURE: token} if name == messages.SIGNATURE else {}
    arrived: Any = Arrived(said(body(), **headers), user=token if name == "user_id" else None)
    assert token not in repr(MAC.verify(arrived).carried)


@pytest.mark.parametrize("voucher", [None, "", "x", "é\udcff", 5, True, b"x", ["x"]])
def test_a_header_of_ours_is_not_believed_of_a_producer(voucher: object) -> None:
    """Who is not of this installation cannot name a user, a door, a replay."""
    forged: Any = Arrived(said(body(), **FORGERIES, **({messages.VOUCHER: voucher} if voucher is not None else {})))
    provenance = MAC.verify(forged)
    assert (provenance.user, provenance.door, provenance.replays, provenance.only_provider) == (
        None,
        None,
        0,
        None,
    )
    assert provenance.headers == {}


@pytest.mark.parametrize("junk", ["\udc80", "a\nb", "x" * 2000, b"x", 5, {"a": 1}, None])
def test_a_signature_that_is_no_line_of_text_is_none(junk: object) -> None:
    """It would go into the dead letter of the refused event, and surrogates are no UTF-8."""
    arrived: Any = Arrived(said(body(), **{messages.SIGNATURE: junk}))
    arrived.properties = {"user_id": junk}
    provenance = MAC.verify(arrived)
    assert (provenance.signature, provenance.user, provenance.headers) == (None, None, {})


@pytest.mark.parametrize(
    "change",
    [
        {"body": body(providers=["wibmo"])},
        {"content_type": "application/json"},
        {"headers": {messages.USER: "admin"}},
        {"headers": {messages.DOOR: messages.CELERY_DOOR}},
        {"headers": {messages.REPLAY_PROVIDER: "wibmo"}},
        {"headers": {"ce-source": "urn:other"}},
    ],
)
def test_a_voucher_is_good_for_one_message_only(change: dict[str, Any]) -> None:
    """A producer that could read a queue cannot put it on something else."""
    vouched = MAC.sign(said(body(), **{messages.USER: "idp"}))
    good: Any = Arrived(vouched)
    assert MAC.verify(good).user == "idp"
    stolen: Any = Arrived(replace(vouched, **change | {"headers": {**vouched.headers, **change.get("headers", {})}}))
    assert MAC.verify(stolen).user is None
    assert ProvenanceMac(b"another installation").verify(good).user is None


def moved(arrived: Any) -> Message:
    """Its copy for another queue."""
    copy = Message("revocation.events.routine", "session.ended", arrived.body, content_type=arrived.content_type)
    return MAC.carry_over(arrived, copy)


@pytest.mark.parametrize("headers", [{}, FORGERIES, FORGERIES | {messages.VOUCHER: "0" * 64}])
def test_a_message_that_we_move_proves_as_much_as_before_and_no_more(headers: dict[str, Any]) -> None:
    """Its user and its signature go along; what its producer claimed does not become true by our voucher."""
    proofs = {messages.SIGNATURE: "a..b", "ce-note": "n", "x-other": 7}
    before: Any = Arrived(said(body(), **headers, **proofs), user="mallory")
    copy: Any = Arrived(moved(before), user="intake")
    told, now = MAC.verify(before), MAC.verify(copy)
    assert (now.user, now.signature, now.is_binary) == ("mallory", "a..b", True)
    assert (now.door, now.replays, now.only_provider) == (None, 0, None)
    assert now.headers == told.headers
    assert copy.headers["x-other"] == 7


def test_a_message_without_a_user_has_none_after_it_was_moved() -> None:
    """Nor that of the process which moves it; no voucher is spent on nobody."""
    before: Any = Arrived(said(body(), **FORGERIES))
    copy: Any = Arrived(moved(before))
    assert MAC.verify(copy).user is None
    assert not any(name.startswith("x-revocation") for name in copy.headers)


def test_a_replay_that_we_move_is_still_that_replay() -> None:
    """Its voucher speaks for it as it is."""
    replay = MAC.sign(said(body(), **FORGERIES))
    copy: Any = Arrived(moved(Arrived(replay, user="operator")), user="intake")
    provenance = MAC.verify(copy)
    assert (provenance.user, provenance.door, provenance.replays) == ("idp", messages.CELERY_DOOR, 1)
    assert provenance.only_provider == "genesys"


def test_the_user_who_replays_is_not_who_said_it() -> None:
    """An operator's own broker user makes nobody's event true."""
    vouched: Any = Arrived(MAC.sign(said(body(), **{messages.REPLAYS: 1})), user="idp")
    assert MAC.verify(vouched).user is None
