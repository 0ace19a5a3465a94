"""Authorisation: a source is known, proves itself, says only what it may. Each rule by itself, and no way around it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tasks.call import Lane
from tasks.events import InvalidEvent, parse_event
from tasks.plan import Catalogue, Instance
from tasks.providers import KINDS
from tasks.subject_index import SubjectIndex
from worker.broker import messages, topology
from worker.broker.provenance import ProvenanceMac
from worker.broker.publisher import Message, Publisher
from worker.intake.authorization import AlertThrottle, Authorizer, Denied, Granted, Rule
from worker.intake.intake import Controls, Intake
from worker.intake.signing import generate_signing_key, sign
from worker.settings.sources import SourceSettings

SOURCE: Final = "urn:test:idp"
MAC: Final = ProvenanceMac(b"subject-key-of-a-unit-test-0123456789")
KEY: Final = generate_signing_key("k1")
ISSUED: Final = {"format": "iss_sub", "iss": "https://idp.example.com", "sub": "ada"}
ACME: Final = {"format": "complex", "user": ISSUED, "tenant": {"format": "opaque", "id": "acme"}}
BINARY: Final = {"ce-id": "e1", "ce-source": SOURCE, "ce-type": "user.disabled", "ce-specversion": "1.0"}


class Arrived:
    """A publication as kombu hands it over; *user* is what RabbitMQ checked."""

    def __init__(self, published: Message, user: str | None = None) -> None:
        self.body, self.headers, self.content_type = published.body, dict(published.headers), published.content_type
        self.properties = {"user_id": user} if user else {}
        self.delivery_info: dict[str, Any] = {}


def body(kind: str = "user.disabled", source: str = SOURCE, **data: Any) -> bytes:
    """An event about Ada."""
    told = {"sub_id": ISSUED, **data}
    event = {"specversion": "1.0", "id": "e1", "source": source, "type": kind, "data": told}
    return json.dumps(event | {"time": datetime.now(UTC).isoformat()}).encode()


def session(provider: str) -> dict[str, Any]:
    """A session at *provider*."""
    return {"provider": provider, "credential": {"token_reference_id": "r1"}}


def judged(published: Message, *sources: SourceSettings, user: str | None = None, proves_users: bool = True) -> Any:
    """The rule that *published* falls foul of, else what it is granted."""
    arrived: Any = Arrived(published, user)
    event = parse_event(
        published.body, now=datetime.now(UTC), content_type=published.content_type, headers=published.headers
    )
    assert not isinstance(event, InvalidEvent)
    authorizer = Authorizer({each.source: each for each in sources}, proves_users=proves_users)
    verdict = authorizer.authorize(event, MAC.verify(arrived))
    return verdict.rule if isinstance(verdict, Denied) else verdict


def said(content: bytes, **headers: Any) -> Message:
    """A message as a producer publishes it."""
    return messages.event(content, "user.disabled", headers=headers)


def signed(content: bytes) -> Message:
    """A message with a good signature."""
    return said(content, **{messages.SIGNATURE: sign(content, KEY)})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The public half of KEY."""
    path = tmp_path / "idp.jwks.json"
    path.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    return path


def test_a_source_that_is_not_listed_is_refused_where_users_can_be_proved() -> None:
    """On RabbitMQ; on the embedded broker whoever may write the file is let in."""
    other = SourceSettings(source="urn:other", trusted=True)
    assert judged(said(body()), other, user="somebody") is Rule.NOT_LISTED
    assert judged(said(body()), other, proves_users=False) == Granted()


def test_a_trusted_source_needs_no_proof() -> None:
    """It was named as such."""
    assert judged(said(body()), SourceSettings(source=SOURCE, trusted=True)) == Granted()


@pytest.mark.parametrize("type_", ["user.disabled", "no.such.type"])
@pytest.mark.parametrize(
    ("proof", "user", "is_proved"),
    [
        ({"trusted": True}, None, True),
        ({"users": frozenset({"idp"})}, "idp", True),
        ({"users": frozenset({"idp"})}, "mallory", False),
        ({"users": frozenset({"idp"})}, None, False),
        ({"source": "urn:other", "trusted": True}, "idp", False),
    ],
)
def test_who_said_what_is_refused_is_proved_or_not(
    proof: Mapping[str, Any], user: str | None, type_: str, *, is_proved: bool
) -> None:
    """Whatever was wrong with it: a stranger's letters have a budget, a listed source's do not wait for room."""
    arrived: Any = Arrived(said(body(type_)), user)
    source = SourceSettings(**{"source": SOURCE, "types": frozenset({"session.ended"}), **proof})
    authorizer = Authorizer({"it": source}, proves_users=True)
    intake = Intake(
        Catalogue({}, {}, SubjectIndex(b"k" * 32)),
        Publisher(lambda: pytest.fail("nothing is published")),
        Controls(MAC, authorizer, cast("Any", None), cast("Any", None)),
    )
    [told] = intake.publications(intake.read(arrived))
    assert told.exchange == (topology.DEAD if is_proved else topology.UNPROVED).name


@pytest.mark.parametrize(("user", "is_let_in"), [("idp", True), ("idp2", True), ("mallory", False), (None, False)])
def test_a_broker_user_proves_a_source(user: str | None, is_let_in: bool) -> None:  # noqa: FBT001 - a table
    """Any of those listed, nobody else."""
    source = SourceSettings(source=SOURCE, users=frozenset({"idp", "idp2"}))
    assert (judged(said(body()), source, user=user) == Granted()) is is_let_in


def test_a_user_that_no_broker_compared_proves_nothing() -> None:
    """On the embedded broker everybody can write any `user_id`."""
    source = SourceSettings(source=SOURCE, users=frozenset({"idp"}))
    assert judged(said(body()), source, user="idp", proves_users=False) is Rule.USER
    vouched = MAC.sign(said(body(), **{messages.USER: "idp"}))
    assert judged(vouched, source, proves_users=False) is Rule.USER


def test_a_signature_proves_a_source(keys: Path) -> None:
    """Over these bytes, by its own key; on both brokers."""
    source, content = SourceSettings(source=SOURCE, keys=keys), body()
    for proves_users in (True, False):
        assert judged(signed(content), source, proves_users=proves_users) == Granted()
        assert judged(said(content), source, proves_users=proves_users) is Rule.SIGNATURE
    stolen = replace(signed(content), body=body(providers=["wibmo"]))
    assert judged(stolen, source) is Rule.SIGNATURE


def test_where_both_proofs_are_configured_both_are_needed(keys: Path) -> None:
    """A stolen password is not enough, nor is a stolen key."""
    source, content = SourceSettings(source=SOURCE, keys=keys, users=frozenset({"idp"})), body()
    assert judged(signed(content), source, user="idp") == Granted()
    assert judged(signed(content), source, user="mallory") is Rule.USER
    assert judged(said(content), source, user="idp") is Rule.SIGNATURE


def test_the_key_of_one_source_does_not_sign_for_another(keys: Path) -> None:
    """Keys belong to sources, whatever their kid."""
    other = SourceSettings(source="urn:other", keys=keys)
    mine = keys.with_name("mine.json")
    mine.write_text(json.dumps({"keys": [generate_signing_key("k1").as_dict(private=False)]}))
    assert judged(signed(body()), other, SourceSettings(source=SOURCE, keys=mine)) is Rule.SIGNATURE


def test_a_signature_does_not_cover_the_attributes_of_binary_mode(keys: Path) -> None:
    """They are headers: with somebody's signed data anybody could name another source, id, type or time."""
    data = json.dumps({"sub_id": ISSUED}).encode()
    headers = {**BINARY, "ce-time": datetime.now(UTC).isoformat(), messages.SIGNATURE: sign(data, KEY)}
    binary = messages.event(data, "user.disabled", content_type="application/json", headers=headers)
    assert judged(binary, SourceSettings(source=SOURCE, keys=keys)) is Rule.BINARY_MODE
    assert judged(binary, SourceSettings(source=SOURCE, users=frozenset({"idp"})), user="idp") == Granted()


@pytest.mark.parametrize(
    ("limit", "told", "rule"),
    [
        ({"types": {"session.ended"}}, {}, Rule.TYPE),
        ({"providers": {"genesys"}}, {"providers": ["genesys", "wibmo"]}, Rule.PROVIDER),
        ({"providers": {"genesys"}}, {"accounts": {"wibmo": {"user_id": "u"}}}, Rule.PROVIDER),
        ({"providers": {"genesys"}}, {"sessions": [session("genesys"), session("wibmo")]}, Rule.PROVIDER),
        ({"tenants": {"acme"}}, {}, Rule.TENANT),
        ({"tenants": {"other"}}, {"sub_id": ACME}, Rule.TENANT),
        ({"issuers": {"https://other"}}, {}, Rule.ISSUER),
        ({"issuers": {"https://other"}}, {"sub_id": ACME}, Rule.ISSUER),
        ({"issuers": {"https://idp.example.com"}}, {"sub_id": {"format": "opaque", "id": "ada"}}, Rule.ISSUER),
        (
            {"issuers": {"https://idp.example.com"}},
            {"sub_id": {"format": "complex", "user": {"format": "opaque", "id": "ada"}, "device": ISSUED}},
            Rule.ISSUER,
        ),
        (
            {"issuers": {"https://idp.example.com"}},
            {"sub_id": {"format": "aliases", "identifiers": [ISSUED, {**ISSUED, "iss": "https://other"}]}},
            Rule.ISSUER,
        ),
    ],
)
def test_a_source_says_only_what_it_may(limit: Mapping[str, Any], told: Mapping[str, Any], rule: Rule) -> None:
    """Types, providers, tenants, issuers: each by itself; what is not limited may be anything."""
    assert judged(said(body(**told)), SourceSettings(source=SOURCE, trusted=True, **limit)) is rule
    assert judged(said(body(**told)), SourceSettings(source=SOURCE, trusted=True)) == Granted()


def test_what_is_within_the_limits_is_let_in() -> None:
    """All of them at once; the plan reaches no other provider."""
    limits: dict[str, Any] = {"types": {"user.disabled"}, "providers": {"genesys"}, "tenants": {"acme"}}
    source = SourceSettings(source=SOURCE, trusted=True, issuers=frozenset({ISSUED["iss"]}), **limits)
    assert judged(said(body(sub_id=ACME, providers=["genesys"])), source) == Granted(frozenset({"genesys"}))


def test_an_event_reaches_no_provider_that_its_source_may_not_name() -> None:
    """It names none, and the person is known by the same issuer at both."""
    instances = {name: Instance(name, KINDS["genesys"], ISSUED["iss"]) for name in ("genesys", "genesys-eu")}
    catalogue = Catalogue(instances, {lane: timedelta(hours=1) for lane in Lane}, SubjectIndex(b"k" * 32))
    event: Any = Arrived(said(body(sub_id={**ISSUED, "sub": "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"})))
    source = SourceSettings(source=SOURCE, trusted=True, providers=frozenset({"genesys"}))
    for sources, reached in (({"idp": source}, {"genesys"}), ({}, set(instances))):
        authorizer = Authorizer(sources, proves_users=False)
        controls = Controls(MAC, authorizer, cast("Any", None), cast("Any", None))
        intake = Intake(catalogue, Publisher(lambda: pytest.fail("nothing is published")), controls)
        incoming = intake.read(event)
        incoming.plan = intake.plan(incoming)
        calls = [each for each in intake.publications(incoming) if each.exchange == topology.CALLS.name]
        assert {each.routing_key.partition(".")[0] for each in calls} == reached


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


def test_what_came_through_the_door_is_proved_but_not_unlimited(keys: Path) -> None:
    """Its publisher could have written provider calls; a listed source's limits hold all the same."""
    through = MAC.sign(said(body(), **{messages.DOOR: messages.CELERY_DOOR}))
    assert judged(through) == Granted()
    assert judged(through, SourceSettings(source=SOURCE, keys=keys)) == Granted()
    assert judged(through, SourceSettings(source=SOURCE, keys=keys, types=frozenset({"session.ended"}))) is Rule.TYPE


@pytest.mark.parametrize("door", ["http", True])
def test_another_door_proves_nothing_by_itself(keys: Path, door: object) -> None:
    """What came in by it is asked for the proofs of its source, and let in from no source that is not listed."""
    through = MAC.sign(said(body(), **{messages.DOOR: door}))
    assert judged(through) is Rule.NOT_LISTED
    assert judged(through, SourceSettings(source=SOURCE, keys=keys)) is Rule.SIGNATURE


def test_a_replayed_part_needs_its_provider_allowed() -> None:
    """Where the settings were narrowed since, the part is not quietly planned as nothing."""
    replayed = MAC.sign(said(body(), **{messages.REPLAY_PROVIDER: "wibmo"}))
    source = SourceSettings(source=SOURCE, trusted=True, providers=frozenset({"genesys"}))
    assert judged(replayed, source) is Rule.PROVIDER


def test_a_thousand_refused_events_are_one_alert(caplog: pytest.LogCaptureFixture) -> None:
    """Of each source and rule; nobody reads a thousand."""
    event = parse_event(body(), now=datetime.now(UTC), content_type=messages.CLOUDEVENTS_JSON)
    assert not isinstance(event, InvalidEvent)
    alerts = AlertThrottle()
    for _ in range(1000):
        alerts.report(Denied(Rule.SIGNATURE, "", "idp", event))
    alerts.report(Denied(Rule.NOT_LISTED, "/source", None, event))
    assert [(each.msg, each.levelname, vars(each)["reason"]) for each in caplog.records] == [
        ("event.access_denied", "ERROR", "signature"),
        ("event.access_denied", "ERROR", "not_listed"),
    ]
