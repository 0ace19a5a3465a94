"""Authorisation: a source is known, proves itself, says only what it may. Each rule by itself, and no way around it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
from arrived_messages import ISSUED, MAC, SOURCE, Arrived, body, said

from tasks.call import Lane
from tasks.events import InvalidEvent, parse_event
from tasks.plan import Catalogue, Instance
from tasks.providers import KINDS
from tasks.subject_index import SubjectIndex
from worker.broker import messages, topology
from worker.broker.publication import Message
from worker.broker.publisher import AlternatingPublisher
from worker.intake.authorization import AlertThrottle, Authorizer, Denied, Granted, Rule
from worker.intake.intake import Controls, Intake
from worker.intake.signing import generate_signing_key, sign
from worker.settings.sections import SourceSettings

KEY: Final = generate_signing_key("k1")
ACME: Final = {"format": "complex", "user": ISSUED, "tenant": {"format": "opaque", "id": "acme"}}
BINARY: Final = {"ce-id": "e1", "ce-source": SOURCE, "ce-type": "user.disabled", "ce-specversion": "1.0"}


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
        AlternatingPublisher(lambda: pytest.fail("nothing is published")),
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


NAMED: Final = {"types": {"user.enabled", "user.disabled"}}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [({}, Rule.TYPE), ({"types": {"user.disabled"}}, Rule.TYPE), (NAMED, Granted())],
    ids=["no limit", "not named", "named"],
)
@pytest.mark.parametrize("proves_users", [True, False])
def test_who_is_enabled_only_a_source_says_whose_types_name_it(
    limit: Mapping[str, Any], expected: object, *, proves_users: bool
) -> None:
    """It may keep an intruder logged in, so nobody has that right by a limit that was left out."""
    published = said(body("user.enabled"))
    source = SourceSettings(source=SOURCE, trusted=True, **limit)
    assert judged(published, source, proves_users=proves_users) == expected
    assert judged(published, proves_users=proves_users) is Rule.NOT_LISTED


def test_who_is_enabled_is_not_believed_for_the_door_alone() -> None:
    """Who may write provider calls can log people out; to keep them in is another right."""
    through = MAC.sign(said(body("user.enabled"), **{messages.DOOR: messages.CELERY_DOOR}))
    assert judged(through) is Rule.NOT_LISTED
    assert judged(through, SourceSettings(source=SOURCE, users=frozenset({"idp"}))) is Rule.TYPE
    assert judged(through, SourceSettings(source=SOURCE, users=frozenset({"idp"}), **NAMED)) == Granted()


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
        intake = Intake(catalogue, AlternatingPublisher(lambda: pytest.fail("nothing is published")), controls)
        incoming = intake.read(event)
        incoming.plan = intake.plan(incoming)
        calls = [each for each in intake.publications(incoming) if each.exchange == topology.CALLS.name]
        assert {each.routing_key.partition(".")[0] for each in calls} == reached


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


def by_door(name: str, *, is_ours: bool = True) -> Message:
    """An event that came in by a door of the settings; or one whose producer only says so."""
    message = said(body(), **{messages.DOOR: name})
    return MAC.sign(message) if is_ours else message


def test_a_door_proves_its_own_source_and_no_other() -> None:
    """Under a voucher of ours alone; a door called like one that needs no list is none of those."""
    source = SourceSettings(source=SOURCE, doors=frozenset({"idp", "celery"}))
    assert judged(by_door(messages.door("idp")), source) == Granted()
    assert judged(by_door(messages.door("other")), source) is Rule.DOOR
    assert judged(by_door(messages.door("idp"), is_ours=False), source) is Rule.DOOR
    assert judged(said(body()), source) is Rule.DOOR
    assert judged(by_door(messages.door("celery"))) is Rule.NOT_LISTED
    limited = SourceSettings(source=SOURCE, doors=frozenset({"idp"}), types=frozenset({"session.ended"}))
    assert judged(by_door(messages.door("idp")), limited) is Rule.TYPE


def test_a_source_with_a_door_proves_itself_otherwise_as_before(keys: Path) -> None:
    """The door stands beside the other proofs, and weakens none."""
    source = SourceSettings(source=SOURCE, doors=frozenset({"idp"}), keys=keys)
    assert judged(said(body()), source) is Rule.SIGNATURE
    assert judged(signed(body()), source) == Granted()
    assert judged(by_door(messages.door("idp")), source) == Granted()
