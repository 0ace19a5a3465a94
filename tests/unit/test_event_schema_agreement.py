"""The published schema and our own model are peers: each event is valid for both or for neither."""

import copy
import functools
import json
import operator
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from event_examples import event_document
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import fixed_dictionaries as record

from tasks.events import InvalidEvent, RejectionCode, parse_event

Json = Any  # what json.loads returns
NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
CONTRACTS = resources.files("tasks") / "contracts"
KINDS = ("session.ended", "session.started", "user.disabled", "user.enabled")
EXAMPLES = [json.loads((CONTRACTS / f"{name}.json").read_bytes()) for name in KINDS]
THOROUGH = settings(max_examples=400, deadline=None, database=None)


def is_date_time(value: object) -> bool:
    """RFC 3339 section 5.6, worked out from the numbers; years 1 to 9999 in UTC."""
    pattern = r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))"
    match = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        return not isinstance(value, str)
    year, month, day, hour, minute, second, hours, minutes = (int(match[i] or 0) for i in (1, 2, 3, 4, 5, 6, 8, 9))
    shift = (hours * 60 + minutes) * (-1 if match[7] == "-" else 1)
    days, clock = divmod(hour * 60 + minute - shift, 1440)
    try:
        today, tomorrow = (date(year, month, day).toordinal() + days + i for i in (0, 1))
        leaps = second == 60 and clock == 1439 and date.fromordinal(tomorrow).day == 1
    except (ValueError, OverflowError):
        return False
    in_range = max(hour, hours) < 24 and max(minute, minutes) < 60 and 1 <= today <= date.max.toordinal()
    return in_range and (second < 60 or leaps)


def is_uri_reference(value: object) -> bool:
    """RFC 3986 section 4.1, taken apart delimiter by delimiter."""
    if not isinstance(value, str):
        return True
    rest, _, fragment = re.sub("%[0-9A-Fa-f]{2}", "x", value).partition("#")
    rest, _, query = rest.partition("?")
    head, colon, tail = rest.partition(":")
    if colon and "/" not in head:
        rest = tail if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", head) else "%"
    authority, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    user, _, host = authority.rpartition("@")
    name = re.sub(r"\A\[([0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[^][/?#@%]+)\]", "x", re.sub(r":[0-9]*\Z", "", host))
    parts = {":@/?": query + fragment, ":@/": slash + path, ":": user, "": name}
    return all(re.fullmatch(rf"[{extra}A-Za-z0-9._~!$&'()*+,;=-]*", part) for extra, part in parts.items())


SCHEMA = jsonschema_rs.Draft202012Validator(
    json.loads((CONTRACTS / "event.schema.json").read_bytes()),
    formats={"date-time": is_date_time, "uri-reference": is_uri_reference},
    validate_formats=True,
)
# Hypothesis likes to try the words of the source ("token"), and sixteen long names can outgrow 64 KiB.
BEYOND_A_SCHEMA = {RejectionCode.PLAINTEXT_TOKEN, RejectionCode.TOO_LARGE}


def disagreement(document: Json) -> str | None:
    """Say how the model and the schema differ over *document*, or nothing."""
    parsed = parse_event(json.dumps(document).encode(), now=NOW)
    code = parsed.code if isinstance(parsed, InvalidEvent) else None
    if code in BEYOND_A_SCHEMA:
        return None
    time = document.get("time") if isinstance(document, dict) else None
    ahead = code is RejectionCode.INVALID_TIME and isinstance(time, str) and len(time) <= 40 and is_date_time(time)
    accepted = code is None or code is RejectionCode.STALE or ahead  # A schema has no clock.
    return None if accepted == SCHEMA.is_valid(document) else f"{parsed!r} for {document!r}"


WORD = st.text(min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=5,
)
NAME = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
PAST = st.datetimes(max_value=NOW.replace(tzinfo=None)).map(lambda moment: moment.isoformat() + "Z")


def text(low: int, high: int) -> st.SearchStrategy[str]:
    """Return texts of *low* to *high* code points, the bounds themselves among them."""
    bounds = st.sampled_from([low, high]).map(lambda size: "\U0001f600" * size)
    return bounds | st.text(min_size=low, max_size=min(high, 20))


def subject(name: str, **members: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    """Return subjects of one format, sometimes with a member the contract does not know."""
    return record({"format": st.just(name), **members}, optional={"x-extra": JSON})


SIMPLE = st.one_of(
    subject("iss_sub", iss=text(1, 512), sub=text(1, 256)),
    subject("email", email=text(3, 254)),
    subject("opaque", id=text(1, 256)),
    *(subject(name, uri=text(1, 512)) for name in ("account", "uri")),
    subject("phone_number", phone_number=st.from_regex(r"\+[0-9]{1,15}", fullmatch=True)),
    subject("did", url=text(5, 512)),
)
PARTS = st.dictionaries(NAME.filter(lambda name: name != "format"), SIMPLE, min_size=1, max_size=8)
COMPLEX = PARTS.map(lambda parts: {**parts, "format": "complex"})
ALIASES = record({"format": st.just("aliases"), "identifiers": st.lists(SIMPLE, min_size=1, max_size=16)})
SUB_ID = SIMPLE | ALIASES | COMPLEX
SECRET = st.one_of(
    record({"jwe": st.from_regex(r"[A-Za-z0-9_-]{1,9}\.[A-Za-z0-9_-]{0,9}(\.[A-Za-z0-9_-]{1,9}){3}", fullmatch=True)}),
    record({"ref": st.from_regex(r"[a-z][a-z0-9+.-]{1,31}:[\x21-\x7e]{1,20}", fullmatch=True)}),
    record({"token_reference_id": st.from_regex(r"[\x21-\x7e]{1,512}", fullmatch=True)}),
)
SESSION = record({"provider": NAME, "credential": SECRET}, optional={"session_id": text(1, 256), "expires_at": PAST})
WHY = {
    "reason": st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True),
    "initiating_entity": st.sampled_from(["admin", "user", "policy", "system"]),
}
USER_ID = st.from_regex(r"[A-Za-z0-9._@|:-]{1,128}", fullmatch=True)
ACCOUNTS = st.dictionaries(NAME, record({"user_id": USER_ID}), max_size=16)
SESSIONS = st.lists(SESSION, min_size=1, max_size=16)
ISSUER = {"session_issuer": text(1, 512)}
ENDED = record({"sessions": SESSIONS}, optional={"sub_id": SUB_ID, **WHY, **ISSUER, "x": JSON}) | record(
    {"session_ids": st.lists(text(1, 256), min_size=1, max_size=16)}, optional={"sub_id": SUB_ID, **WHY, **ISSUER}
)
STARTED = record({"sub_id": SUB_ID, "sessions": SESSIONS}, optional={**ISSUER, "x": JSON})
DISABLED = record(
    {"sub_id": SUB_ID},
    optional={
        "accounts": ACCOUNTS,
        "sessions": st.lists(SESSION, max_size=4),
        "providers": st.lists(NAME, min_size=1, max_size=16, unique=True),
        **WHY,
    },
)
ENABLED = record({"sub_id": SUB_ID}, optional={"accounts": ACCOUNTS, **WHY, "sessions": JSON})
OPTIONAL = {
    "subject": st.none() | text(0, 256),
    "datacontenttype": st.sampled_from(["application/json", "application/json; charset=utf-8", None]),
    "dataschema": st.none() | text(0, 256),
    "expirytime": st.sampled_from(["2026-11-21T02:00:00Z", "9999-12-31t23:59:59.5+00:00", "2026-12-31T23:59:60z"]),
    "correlationid": text(1, 128),
    "traceparent": text(0, 128) | st.just("00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01"),
    "tracestate": text(0, 512),
    "extension": JSON,
}


def events_of(kind: str, data: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Return valid events of one type."""
    source = st.sampled_from(["urn:a:b", "https://u:p@[::1]:80/a?b#c", "/a%20b", "//h", "a/b:c", "?"])
    identity = st.from_regex(r"[\x21-\x7e]{1,128}", fullmatch=True)
    required = {"specversion": st.just("1.0"), "id": identity, "source": source, "type": st.just(kind), "time": PAST}
    return record({**required, "data": data}, optional=OPTIONAL)


EVENTS = st.one_of(*map(events_of, KINDS, (ENDED, STARTED, DISABLED, ENABLED)))


@given(EVENTS)
@THOROUGH
def test_every_valid_event_is_read_and_written_back_unchanged(document: Json) -> None:
    """What the schema allows is accepted, and an event's document reads back as an equal event."""
    assert SCHEMA.is_valid(document)
    event = parse_event(json.dumps(document).encode(), now=NOW)
    if isinstance(event, InvalidEvent):
        assert event.code in BEYOND_A_SCHEMA
    else:
        written = event_document(event)
        assert SCHEMA.is_valid(written)
        assert parse_event(json.dumps(written).encode(), now=NOW) == event


Path = tuple[str | int, ...]
Change = Callable[[Any, Any], object]
LETTERS = "abcdefghijklmnopq"
HOSTILE: list[Json] = [
    None, True, 0, 1.5, "", "a\n", "1.0", "1.0\n", "session.ended", "user.disabled", "complex", "email", "genesys\n",
    *(letter * (size + more) for letter in "xé" for size in (1, 4, 32, 64, 128, 254, 256, 512) for more in (0, 1)),
    "+123", "+" + "1" * 15, "+" + "1" * 16, "a b", "%zz", "http://[", "1:x", "a.b.c.d.e", "a..c.d.e", "a.b.c.d.",
    "a.b.c.d." + "e" * 16376, "a.b.c.d." + "e" * 16377, [], ["x"], ["a", "a"], [{}], {}, {"x": 1},
    {"format": "complex"}, {"format": "aliases", "identifiers": []},
    *({"format": "aliases", "identifiers": [{"format": "uri", "uri": "x"}] * size} for size in (16, 17)),
    *({"format": "complex", **{name: {"format": "uri", "uri": "x"} for name in LETTERS[:size]}} for size in (8, 9)),
    *({name: {"user_id": "x"} for name in LETTERS[:size]} for size in (16, 17)),
    *(list(LETTERS[:size]) for size in (16, 17)), {"ref": "ab:x", "jwe": "a.b.c.d.e"}, {"ref": "a:x"},
    *([{"provider": "a", "credential": {"ref": "ab:x"}}] * size for size in (0, 1, 16, 17)), {"ref": "ab:x"},
    "2026-11-21T02:00:00", "2026-11-21 02:00:00Z", "2026-11-21T02:00:00z\n", "2026-02-29T00:00:00Z",
    "2026-06-30T23:59:60Z", "2026-07-01T01:59:60+02:00", "2026-06-29T23:59:60Z", "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:60Z", "2026-11-20T24:00:00Z", "2026-11-20T00:00:00+24:00", f"2026-11-20T00:00:00.{10**20}Z",
]  # fmt: skip


def paths(node: Json, path: Path = ()) -> Iterator[Path]:
    """Yield the place of every value below *node*."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from paths(child, (*path, key))


def mutated(document: Json, path: Path, change: Change) -> Json:
    """Return a copy of *document* after *change(parent, key)* at *path*."""
    mutant = copy.deepcopy(document)
    change(functools.reduce(operator.getitem, path[:-1], mutant), path[-1])
    return mutant


def longer(node: Json, value: Json) -> Json:
    """Return *node* with a member more, its items twice, or a tail."""
    if isinstance(node, dict):
        return {**node, "extra": value}
    return node * 2 or [value] if isinstance(node, list) else f"{node}\n"


def changes_with(value: Json) -> list[Change]:
    """Return the changes that replace a node by *value* and make it longer."""
    put: Change = lambda parent, key: operator.setitem(parent, key, value)  # noqa: E731 (two of a kind, side by side)
    extend: Change = lambda parent, key: operator.setitem(parent, key, longer(parent[key], value))  # noqa: E731
    return [put, extend]


VALUES = JSON | st.sampled_from(HOSTILE)
CHANGES = st.just(operator.delitem) | VALUES.flatmap(lambda value: st.sampled_from(changes_with(value)))


@given(EVENTS, st.data())
@THOROUGH
def test_the_model_and_the_schema_agree_on_every_mutant(document: Json, data: st.DataObject) -> None:
    """A node dropped, replaced, retyped or extended is refused by both or by neither."""
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(list(paths(document))))
        document = mutated(document, path, data.draw(CHANGES))
    assert disagreement(document) is None


SUBJECTS = [
    {"format": "email", "email": "a@b"}, {"format": "opaque", "id": "x"}, {"format": "account", "uri": "acct:a"},
    {"format": "uri", "uri": "x"}, {"format": "phone_number", "phone_number": "+1"}, {"format": "did", "url": "did:x"},
]  # fmt: skip
EVERY_FORMAT = {**EXAMPLES[1], "data": {"sub_id": {"format": "aliases", "identifiers": SUBJECTS}}, "tracestate": "x"}


@pytest.mark.parametrize("example", [*EXAMPLES, EVERY_FORMAT], ids=lambda example: example["type"])
def test_the_model_and_the_schema_agree_on_every_hostile_value_in_every_place(example: Json) -> None:
    """No single node of the published examples can be spoilt in a way that only one of the two notices."""
    changes = [operator.delitem, *changes_with({"x": 1}), *(changes_with(value)[0] for value in HOSTILE)]
    mutants = (mutated(example, path, change) for path in paths(example) for change in changes)
    assert [found for found in map(disagreement, mutants) if found] == []


@pytest.mark.parametrize("name", ["data_base64", "DATA_BASE64", "Data_Base64"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_the_model_and_the_schema_agree_on_data_in_a_coding_of_its_own(example: Json, name: str) -> None:
    """Neither takes it, beside `data` or instead of it, however its name is spelt."""
    document = {**example, name: "e30="}
    assert not SCHEMA.is_valid(document)
    assert disagreement(document) is None
