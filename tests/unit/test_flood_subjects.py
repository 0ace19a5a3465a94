"""Whom an event counts for: everybody its plan hits, whatever it calls them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call import Lane
from tasks.events import InvalidEvent, parse_event
from tasks.plan import Catalogue, Instance, Plan, plan_revocations
from tasks.providers import KINDS
from tasks.sealing import generate_key, seal
from tasks.subject_index import SubjectIndex
from worker.intake.flood.window import UNCOUNTED_DEAD_LETTERS, Limits, Subject, Window, subjects_of
from worker.settings.sections import FloodSettings

ISSUER = "https://idp.example.com/"
INSTANCES = {
    name: Instance(name, KINDS[name.partition("-")[0]], ISSUER)
    for name in ("genesys", "genesys-eu", "finbourne", "wibmo", "wibmo-in")
}
CATALOGUE = Catalogue(INSTANCES, dict.fromkeys(Lane, timedelta(hours=1)), SubjectIndex(b"k" * 32))
SEALED = seal("a-token", "finbourne", generate_key("k1"))
FEW = {"session.ended": 20, "user.disabled": 20, "user.enabled": 20}
LIMITS = Limits(600, FEW, FEW, {})


def read(kind: str, data: Mapping[str, Any], event_id: str = "e1") -> tuple[tuple[Subject, ...], Plan]:
    """Whom an event counts for, and its plan."""
    told = {"specversion": "1.0", "id": event_id, "source": "urn:test", "type": kind}
    body = json.dumps({**told, "time": datetime.now(UTC).isoformat(), "data": data}).encode()
    event = parse_event(body, now=datetime.now(UTC))
    assert not isinstance(event, InvalidEvent), event
    plan = plan_revocations(event, CATALOGUE)
    return subjects_of(event, plan, CATALOGUE.subjects), plan


def user(number: int) -> str:
    """A user id of Genesys."""
    return str(UUID(int=number))


def reference(name: str, provider: str = "wibmo") -> dict[str, Any]:
    """A session by its token reference, which anybody could write."""
    return {"provider": provider, "credential": {"token_reference_id": name}}


def opaque(name: str) -> dict[str, Any]:
    """Somebody's name."""
    return {"format": "opaque", "id": name}


def aliases(*names: str) -> dict[str, Any]:
    """Several names of somebody."""
    return {"format": "aliases", "identifiers": [opaque(name) for name in names]}


def victims(plan: Plan) -> set[object]:
    """Everybody whom the calls of *plan* log out without having had their token."""
    return {call.target for call in plan.calls if call.jwe is None}


# How a source may tell of people 1, 2, 3 …, each time in an event of its own.
SHAPES: Mapping[str, Any] = {
    "one name for all": lambda n: ("user.disabled", {"sub_id": opaque("x"), "accounts": account(n)}),
    "no name": lambda n: ("user.disabled", {"accounts": account(n), "sub_id": opaque("y")}),
    "two instances": lambda n: (
        "user.disabled",
        {"sub_id": opaque("x"), "accounts": account(2 * n) | account(2 * n + 1, "genesys-eu")},
    ),
    "names cut elsewhere": lambda n: (
        "user.disabled",
        {"sub_id": aliases(f"a\n{n}", "b") if n % 2 else aliases("a", f"{n}\nb"), "accounts": account(n)},
    ),
    "references of many": lambda n: (
        "user.disabled",
        {"sub_id": opaque("x"), "sessions": [reference(f"r-{n}-{i}") for i in range(16)]},
    ),
    "sessions of many": lambda n: ("session.ended", {"sessions": [reference(f"r-{n}-{i}") for i in range(16)]}),
    "the issuer's name": lambda n: (
        "user.disabled",
        {"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": user(n)}, "accounts": account(n, "genesys-eu")},
    ),
}


def account(number: int, provider: str = "genesys") -> dict[str, Any]:
    """Somebody's account."""
    return {provider: {"user_id": user(number)}}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_no_shape_of_event_hits_more_people_than_the_limit(shape: Any) -> None:
    """A hundred events, all of which would hit somebody new."""
    window, hit, floods = Window(LIMITS, lambda _: None), set[object](), 0
    for number in range(100):
        kind, data = shape(number)
        subjects, plan = read(kind, data, f"e-{number}")
        passes = window.let_pass(subjects, 0.0)
        hit |= victims(plan) if passes else set()
        floods += not passes
    assert 0 < len(hit) <= FEW["user.disabled"]
    assert floods


NAMES = st.sampled_from(["a", "b", "a\nb", "é", "e\u0301", "A"])
REFERENCES = st.lists(
    st.builds(reference, st.sampled_from(["a", "b", "A"]), st.sampled_from(["wibmo", "wibmo-in"])), max_size=6
)
ACCOUNTS = st.dictionaries(
    st.sampled_from(["genesys", "genesys-eu"]), st.integers(0, 9).map(lambda n: {"user_id": user(n)})
)
DATA = st.fixed_dictionaries(
    {"sub_id": st.builds(opaque, NAMES) | st.builds(lambda a, b: aliases(a, b + "2"), NAMES, NAMES)},
    optional={
        "sessions": REFERENCES,
        "accounts": ACCOUNTS,
        "providers": st.lists(st.sampled_from(["no", "wibmo"]), min_size=1, unique=True),
    },
)


@given(st.lists(DATA, max_size=8))
def test_two_plans_that_hit_others_never_count_as_one(several: Sequence[Mapping[str, Any]]) -> None:
    """As many subjects as there are victims, over any events; and each at least for itself."""
    read_all = [read("user.disabled", data, f"e-{i}") for i, data in enumerate(several)]
    counted = {subject for subjects, _ in read_all for subject in subjects}
    hit = {victim for _, plan in read_all for victim in victims(plan)}
    assert len(counted) >= len(hit)
    assert all(subjects for subjects, _ in read_all)


def test_whom_an_event_enables_counts_at_each_instance() -> None:
    """One name for all of them does not help, and a flood of such events has no reserve."""
    subjects = [read("user.enabled", {"sub_id": opaque("x"), "accounts": account(n)}, f"e-{n}")[0] for n in range(3)]
    both = account(7) | account(8, "genesys-eu")
    subjects.append(read("user.enabled", {"sub_id": opaque("x"), "accounts": both}, "e-both")[0])
    assert [len(each) for each in subjects] == [1, 1, 1, 2]
    assert len({each for several in subjects for each in several}) == 5
    assert Limits.set_by(FloodSettings()).reserve.keys() == {"user.disabled"}


def test_the_same_victim_counts_once() -> None:
    """By whatever name, in whatever case of the id, in whatever company of sealed tokens."""
    sealed = {"provider": "finbourne", "credential": {"jwe": SEALED}}
    told: list[dict[str, Any]] = [
        {"sub_id": opaque("ada"), "accounts": account(0xAB)},
        {"sub_id": opaque("x"), "accounts": {"genesys": {"user_id": user(0xAB).upper()}}},
        {"sub_id": opaque("x"), "accounts": account(0xAB), "sessions": [sealed]},
        {"sub_id": opaque("x"), "accounts": account(0xAB), "providers": ["nobody"]},
    ]
    assert len({subject for data in told for subject in read("user.disabled", data)[0]}) == 1


def test_of_sealed_tokens_the_person_counts_by_all_names_and_else_the_event() -> None:
    """Who has a token could log its owner out; sealed again it looks different, so it tells nobody apart."""
    sealed = [{"provider": "finbourne", "credential": {"jwe": SEALED}}]
    named = [read("session.ended", {"sub_id": opaque(name), "sessions": sealed})[0] for name in ("ada", "ada", "bob")]
    assert named[0] == named[1] != named[2]
    assert [len(each) for each in named] == [1, 1, 1]
    nameless = [read("session.ended", {"sessions": sealed}, event_id)[0] for event_id in ("e1", "e1", "e2")]
    assert nameless[0] == nameless[1] != nameless[2]


def test_dead_letters_beyond_a_few_count() -> None:
    """An event that names 48 providers nobody configured costs as much as one that disables forty people."""
    names = [f"p-{number}" for number in range(16)]
    for unknown, expected in ((names[:UNCOUNTED_DEAD_LETTERS], 1), (names, 1 + 16 - UNCOUNTED_DEAD_LETTERS)):
        data = {"sub_id": opaque("x"), "accounts": account(1), "providers": unknown}
        assert len(read("user.disabled", data)[0]) == expected
    again = [read("user.disabled", {"sub_id": opaque("x"), "providers": names}, event_id)[0] for event_id in "ab"]
    assert len({*again[0], *again[1]}) == 1 + 2 * (16 - UNCOUNTED_DEAD_LETTERS), "each event has its own"
