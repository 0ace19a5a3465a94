"""From events to the verdict: whose revocation answers for whom."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cli_installation import Installation
from replay_desk import MAX_AGES

from tasks.call import ProviderCall
from tasks.events import InvalidEvent, parse_event
from tasks.outcome import State
from tasks.plan import plan_revocations
from tasks.records import dead_letter_of_call, outcome_of_call
from tasks.sealing import generate_key, seal
from worker.operations.replay_rules import plan_replay
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]

JWE: Final = seal("token-1", "genesys", generate_key("k-1"))
ADAS, BOBS = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77", "0a2f8f0e-1111-4b7e-9b0c-2a1f0d6c9e77"
EMAIL: Final = {"format": "email", "email": "b\u00fcro@m\u00fcnchen.example"}
SPELT: Final = {"format": "email", "email": "BU\u0308RO@xn--mnchen-3ya.example"}
SHARED: Final = {"format": "email", "email": "team@example.com"}
ADA, BOB = ({"format": "opaque", "id": each} for each in ("ada", "bob"))
ISSUED: Final = {"format": "iss_sub", "iss": "https://one.example/", "sub": "42"}


def event_of(kind: str, sub_id: dict[str, Any], minutes: float, **told: Any) -> ProviderCall:
    """The one call at Genesys of an event about *sub_id*, so many minutes after an hour ago."""
    time = datetime.now(UTC) - timedelta(minutes=60 - minutes)
    more: dict[str, Any] = {"sessions": [{"provider": "genesys", "credential": {"jwe": JWE}}]}
    if kind == "user.disabled":
        more = {"accounts": {"genesys": {"user_id": told.pop("user_id", ADAS)}}}
    attributes = {
        "specversion": "1.0",
        "id": f"e-{minutes}",
        "source": "urn:hr",
        "type": kind,
        "time": time.isoformat(),
    }
    document = {**attributes, **told, "data": {"sub_id": sub_id, **more}}
    event = parse_event(json.dumps(document).encode(), now=datetime.now(UTC))
    assert not isinstance(event, InvalidEvent), event
    [call] = [each for each in plan_revocations(event, Settings.load().catalogue()).calls if each.provider == "genesys"]
    return call


def aliases(*names: dict[str, Any]) -> dict[str, Any]:
    """One subject by several names."""
    return {"format": "aliases", "identifiers": list(names)}


def parts(**members: dict[str, Any]) -> dict[str, Any]:
    """A complex subject."""
    return {"format": "complex", **members}


def answers_for(installation: Installation, dead: ProviderCall, later: ProviderCall) -> bool:
    """Whether a *later* accepted call makes the *dead* one needless, for `explain` and for a replay alike."""
    desk, now = installation.desk, datetime.now(UTC)
    [row] = desk.fill(dead_letter_of_call(dead, "http.5xx", now))
    desk.ledger.record([outcome_of_call(later, State.ACCEPTED, now, 1)])
    is_refused = len(plan_replay([row], desk.ledger, now, MAX_AGES).refused) == 1
    told = installation.json("explain", "--event", dead.event_id, code=0 if is_refused else 1)
    assert told["out"] == is_refused
    return is_refused


SAME: Final[list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]]] = [
    (EMAIL, EMAIL, {}),
    (EMAIL, SPELT, {}),
    (aliases(EMAIL, ISSUED), aliases(ISSUED, SPELT), {}),
    (parts(user=ADA, tenant=SHARED), parts(user=ADA), {}),
]
OTHERS: Final[list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]]] = [
    (parts(user=ADA, tenant=SHARED), parts(user=BOB, tenant=SHARED), {}),
    (parts(tenant=SHARED), parts(tenant=SHARED), {}),
    *((parts(user=ADA, **{part: SHARED}), parts(user=BOB, **{part: SHARED}), {}) for part in ("device", "group")),
    (ADA, BOB, {"subject": "hr/terminations"}),
    (aliases(SHARED, ADA), aliases(SHARED, BOB), {}),
    (SHARED, aliases(SHARED, BOB), {}),
    (ISSUED, {**ISSUED, "iss": "https://two.example/"}, {}),
    *((name, name, {"source": "urn:other"}) for name in (EMAIL, ADA, ISSUED)),
    (parts(user=ADA, device=EMAIL), EMAIL, {}),
]


@pytest.mark.parametrize(("one", "other", "attributes"), SAME)
def test_a_session_is_dead_with_a_later_call_for_the_user_of_all_its_names(
    installation: Installation, one: dict[str, Any], other: dict[str, Any], attributes: dict[str, str]
) -> None:
    """However they are spelt, and in whatever form they stand."""
    later = event_of("user.disabled", other, 5, **attributes)
    assert answers_for(installation, event_of("session.ended", one, 0), later)


@pytest.mark.parametrize(("one", "other", "attributes"), OTHERS)
def test_nobody_answers_for_whom_they_share_a_name_with(
    installation: Installation, one: dict[str, Any], other: dict[str, Any], attributes: dict[str, str]
) -> None:
    """A tenant, a device, a group, a label, one of several names, a number at another issuer; another source's word."""
    shown = {"subject": attributes["subject"]} if "subject" in attributes else {}
    later = event_of("user.disabled", other, 5, **attributes)
    assert not answers_for(installation, event_of("session.ended", one, 0, **shown), later)


@pytest.mark.parametrize(
    ("user_id", "names", "expected"),
    [(ADAS, ADA, True), (ADAS.upper(), BOB, True), (BOBS, ADA, False), (BOBS, BOB, False)],
)
@pytest.mark.parametrize("source", ["urn:hr", "urn:other"])
def test_a_users_call_is_answered_for_by_one_for_the_same_user_id(
    installation: Installation, user_id: str, names: dict[str, Any], source: str, *, expected: bool
) -> None:
    """Whatever the names say, and whoever says it: the id is what was hit."""
    dead = event_of("user.disabled", ADA, 0)
    later = event_of("user.disabled", names, 5, user_id=user_id, source=source)
    assert answers_for(installation, dead, later) is expected


def test_a_person_is_found_by_every_spelling_of_a_name(installation: Installation) -> None:
    """NFC and NFD, either case, the domain as Unicode or as an A-label, with signs that nobody sees."""
    call = event_of("session.ended", EMAIL, 0)
    installation.desk.ledger.record([outcome_of_call(call, State.CONFIRMED, datetime.now(UTC), 1)])
    for name in (EMAIL["email"], SPELT["email"], "b\u00fc\u200bro@m\u00fcnchen.example"):
        assert installation.run("explain", name).stdout.splitlines()[-1] == "OUT everywhere"
        assert installation.json("dlq", "list", "--subject", name)["count"] == 0
