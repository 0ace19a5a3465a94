"""Refusing events: a code and a place for each fault, never a value, and no body kept that may hold a token."""

from collections.abc import Callable
from typing import Any

import pytest
from event_examples import JWS, MARKER, NOW, Edit, ended, example, fault, parts, refused
from in_one_test import in_one_test

from tasks.events import InvalidEvent, RejectionCode, parse_event
from tasks.events.content_mode import attribute_headers

NOT_STRICT_JSON = [
    b"", b'{"a":1} x', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}',
    "{}".encode("utf-16"), b'{"a":1,"a":1}', b'{"a":[{"b":1,"\\u0062":2}]}', b'{"a":NaN}', b'{"a":-Infinity}',
    b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":"\\ud800"}', b'{"\\udc00":1}', b'{"a":"\x01"}',
]  # fmt: skip


@pytest.mark.parametrize("body", NOT_STRICT_JSON)
def test_what_is_not_strict_json_is_malformed(body: bytes) -> None:
    """One meaning for every reader, or none."""
    assert fault(parse_event(body, now=NOW)) == ("malformed_json", "")


@pytest.mark.parametrize("body", [b"[]", b"null", b"42", b'"text"', b"true", b'[{"specversion":"1.0"}]'])
def test_json_that_is_no_object_is_well_formed_and_no_event(body: bytes) -> None:
    """The reason does not mislead: its producer's JSON library is not at fault."""
    assert parse_event(body, now=NOW) == InvalidEvent(RejectionCode.NOT_CLOUDEVENTS, "", body_storable=True)


REFUSED: list[tuple[str, str, Edit]] = [
    ("not_cloudevents", "/specversion", lambda e: e.pop("specversion")),
    ("not_cloudevents", "/specversion", lambda e: e.update(specversion=MARKER)),
    ("not_cloudevents", "/id", lambda e: e.update(id=f"{MARKER}\n")),
    ("not_cloudevents", "/source", lambda e: e.update(source=f"{MARKER} ", time=5)),
    ("not_cloudevents", "/type", lambda e: e.pop("type")),
    ("not_cloudevents", "/type", lambda e: e.update(type=[MARKER])),
    ("not_cloudevents", "/id", lambda e: e.update(type=MARKER, id=5)),
    ("unsupported_type", "/type", lambda e: e.update(type=MARKER, time=5)),
    ("invalid_time", "/time", lambda e: e.pop("time")),
    ("invalid_time", "/time", lambda e: e.update(time="2026-11-21T01:15:30")),
    ("invalid_time", "/time", lambda e: e.update(time="2026-11-21T02:05:00.000001Z")),
    ("stale", "/expirytime", lambda e: e.update(expirytime="2026-11-21T01:59:59Z")),
    ("invalid_request", "/expirytime", lambda e: e.update(expirytime=MARKER)),
    ("invalid_request", "/traceparent", lambda e: e.update(traceparent=5)),
    ("invalid_request", "/correlationid", lambda e: e.update(correlationid=None)),
    ("invalid_request", "/data", lambda e: e.pop("data")),
    ("invalid_request", "/data/sessions", lambda e: e["data"].pop("sessions")),
    ("invalid_request", "/data/reason", lambda e: e["data"].update(reason=f"{MARKER} ")),
    ("invalid_request", "/data/sub_id/sub", lambda e: e["data"]["sub_id"].pop("sub")),
    ("invalid_request", "/data/sub_id/format", lambda e: e["data"]["sub_id"].pop("format")),
    ("invalid_request", "/data/sub_id/format", lambda e: e["data"]["sub_id"].update(format=MARKER)),
    ("invalid_request", "/data/sub_id/user/email", lambda e: e["data"].update(sub_id=parts({"format": "email"}))),
    ("invalid_request", "/data/sub_id", lambda e: e["data"].update(sub_id=MARKER)),
    ("invalid_request", "/data/sessions/2/provider", lambda e: e["data"]["sessions"][2].update(provider=MARKER)),
    ("invalid_request", "/data/sessions/2/extra", lambda e: e["data"]["sessions"][2].update(extra=MARKER)),
    ("invalid_request", "/data/sessions/2", lambda e: e["data"]["sessions"][2].update({f"{MARKER}/~": 1})),
    ("invalid_request", "/data/sessions/2/credential", lambda e: e["data"]["sessions"][2].update(credential={})),
    ("invalid_request", "/data/sessions/0/credential", lambda e: credential(e, {"ref": "a:b", "jwe": "a.b.c.d.e"})),
]
LOOSE: list[tuple[str, Edit]] = [
    ("/data/sessions/0/credential/jwe", lambda e: credential(e, {"jwe": MARKER})),
    ("/data/sessions/0/credential", lambda e: credential(e, {"jwe": MARKER, "ref": MARKER})),
    ("/data/sessions/0/credential", lambda e: credential(e, MARKER)),
    ("/data/sessions/0/credential", lambda e: credential(e, [MARKER])),
    ("/data/sessions/0/credential", lambda e: credential(e, {"opaque": MARKER})),
    ("/data/sessions/0/credential", lambda e: credential(e, {"JWE": MARKER})),
    ("/data/sessions/0/sessionToken", lambda e: e["data"]["sessions"][0].update(sessionToken=MARKER)),
    ("/data/sessions/0/set-cookie", lambda e: e["data"]["sessions"][0].update({"set-cookie": MARKER})),
    ("/type", lambda e: e.update(type="over", data={"credential": {"jwe": [MARKER]}})),
    ("/type", lambda e: e.update(type="over", data={"Credentials": [MARKER]})),
    ("/type", lambda e: e.update(type="over", data={"x": [{"user_password_hash": MARKER}]})),
]
IN_CLEAR: list[tuple[str, Edit]] = [
    ("/data/sessions/0/credential/token", lambda e: credential(e, {"token": MARKER})),
    ("/data/sessions/0/credential/Access-Token", lambda e: credential(e, {"Access-Token": MARKER})),
    ("/data/sessions/0/credential/jwe", lambda e: credential(e, {"jwe": JWS})),
    ("/data/sessions/0/session_id", lambda e: e["data"]["sessions"][0].update(session_id=f"bEARER\t{MARKER}")),
    ("/data/sub_id/sub", lambda e: e["data"]["sub_id"].update(sub=f"{MARKER}={JWS}.")),
    ("/dataschema", lambda e: e.update(dataschema=f"v1.{JWS}")),
    ("/data/sub_id", lambda e: e["data"]["sub_id"].update({JWS: MARKER})),
    ("/x/1/API_KEY", lambda e: e.update(x=[0, {"API_KEY": {}}])),
    ("/source", lambda e: e.update(source=f"urn:{JWS}")),
]


def credential(document: dict[str, Any], value: object) -> None:
    """Give the first session this credential."""
    document["data"]["sessions"][0]["credential"] = value


@in_one_test
@pytest.mark.parametrize(("code", "pointer", "edit"), REFUSED)
def test_a_refusal_names_the_code_and_the_nearest_place(code: str, pointer: str, edit: Edit) -> None:
    """The body may be kept, and source and id are told where they are valid."""
    refusal = refused(ended(edit))
    assert (refusal.code.value, refusal.pointer, refusal.body_storable) == (code, pointer, True)
    assert refusal.source == (None if pointer == "/source" else "urn:example:session-timeout-job")
    assert (refusal.event_id is None) == (pointer == "/id")


@pytest.mark.parametrize(("pointer", "edit"), IN_CLEAR)
def test_a_token_in_clear_is_refused_and_its_body_not_kept(pointer: str, edit: Edit) -> None:
    """It is looked for before all else, whatever else is wrong; not even a valid source may carry one along."""
    refusal = refused(ended(lambda document: (edit(document), document.pop("type"))))
    assert (refusal.code.value, refusal.pointer, refusal.body_storable) == ("plaintext_token", pointer, False)
    assert (refusal.source is None) == (pointer == "/source")
    assert refusal.event_id == example("session.ended")["id"]


@pytest.mark.parametrize(("pointer", "edit"), LOOSE)
def test_what_stands_for_a_credential_and_is_none_is_not_kept(pointer: str, edit: Edit) -> None:
    """A token that nobody sealed looks like any word: where one should be, everything may be one."""
    refusal = refused(ended(edit))
    assert (refusal.code.value, refusal.pointer, refusal.body_storable) == (
        "unsupported_type" if pointer == "/type" else "invalid_request",
        pointer,
        False,
    )


BROKEN: list[Callable[[list[str]], str]] = [
    lambda parts: ".".join(parts)[:76] + "\n" + ".".join(parts)[76:],
    lambda parts: ".".join(parts).replace(".", ". "),
    lambda parts: ".".join(parts) + "\n",
    lambda parts: ".".join([*parts[:4], ""]),
    lambda parts: ".".join(parts[:4]),
    lambda parts: ".".join([*parts, parts[-1]]),
    lambda parts: '"' + ".".join(parts) + '"',
]


@pytest.mark.parametrize("spoil", BROKEN)
def test_a_broken_sealed_credential_is_no_token_in_clear(spoil: Callable[[list[str]], str]) -> None:
    """Its producer did seal it: the pointer leads to what broke on the way. Kept it is not, for it may be anything."""
    sealed = example("session.ended")["data"]["sessions"][0]["credential"]["jwe"].split(".")
    refusal = refused(ended(lambda event: credential(event, {"jwe": spoil(sealed)})))
    assert (refusal.code.value, refusal.pointer) == ("invalid_request", "/data/sessions/0/credential/jwe")
    assert not refusal.body_storable


@pytest.mark.parametrize("name", ["ce-note", "cloudEvents:note", "ce-access_token"])
def test_an_attribute_with_a_token_in_clear_is_not_kept(name: str) -> None:
    """Whatever else was wrong with the message, its dead letter must not carry the token along in the headers."""
    token = MARKER if name == "ce-access_token" else f"Bearer {MARKER}"
    assert attribute_headers({"ce-id": "1", name: token, "other": token}) == {"ce-id": "1"}
