"""Graph's notifications: which are believed, what is answered, and that none says more than that one should look."""

from typing import Any, Final
from urllib.parse import quote

import pytest
from door_arrivals import arrival
from graph_samples import CHANGED, LIFECYCLE, STATE
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from pydantic import ValidationError

from tasks.doors import Verdict, Word
from tasks.doors.graph import KIND, Graph, Settings

SETTINGS: Final = {
    "kind": KIND.name,
    "tenant": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
    "client_id": "24d3b144-21ae-4080-943f-7067b395b913",
    "client_secret": "a-secret-of-our-application",
    "subject_issuer": "https://sts.windows.net/84bd8158-6d4d-4958-8b9f-9d6445542f95/",
    "client_state": STATE,
}


def sent(body: bytes = b"", **request: Any) -> Verdict:
    """What a request comes to."""
    return Graph(Settings.model_validate(SETTINGS)).judge(arrival(body, **request))


@in_one_test
@pytest.mark.parametrize("event", [b"reauthorizationRequired", b"subscriptionRemoved", b"missed"])
def test_a_notification_of_whatever_kind_is_a_reason_to_look(event: bytes) -> None:
    """Of a change, or of the subscription's life: what is lost then the look finds (microsoft-graph-docs#20836)."""
    for body in (CHANGED, LIFECYCLE.replace(b"reauthorizationRequired", event)):
        verdict = sent(body)
        assert (verdict.word, verdict.answer.status, verdict.answer.body) == (Word.ACCEPTED, 202, b"")
        assert verdict.looks
        assert verdict.events == ()


@in_one_test
@pytest.mark.parametrize("shown", [b'"SecretClientValue"', b'"secretClientValu"', b'""', b"null", b"7", b'"\\u00fc"'])
def test_one_that_does_not_show_our_state_is_nobodys(shown: bytes) -> None:
    """Nor is any that it came with."""
    forged = CHANGED.replace(b'"secretClientValue"', shown)
    both = forged.rstrip()[:-1].rstrip()[:-1] + b"," + CHANGED.split(b"[", 1)[1]
    for body in (forged, both):
        verdict = sent(body)
        assert (verdict.word, verdict.answer.status, verdict.looks) == (Word.UNPROVED, 401, False)


@in_one_test
@pytest.mark.parametrize("token", ["Validation: Testing client application", "a+b&c=d/é", "<script>alert(1)</script>"])
def test_the_address_is_confirmed_by_the_token_in_plain_text(token: str) -> None:
    """As it was before it was escaped, and as nothing that a browser would run."""
    verdict = sent(query=f"validationToken={quote(token, safe='')}")
    assert (verdict.word, verdict.answer.status, verdict.looks) == (Word.CHALLENGE, 200, False)
    assert verdict.answer.body.decode() == token
    assert verdict.answer.headers["Content-Type"].startswith("text/plain")
    assert verdict.answer.headers["X-Content-Type-Options"] == "nosniff"


@in_one_test
@pytest.mark.parametrize(
    "query", ["validationToken=", "validationToken=a&validationToken=b", f"validationToken={'x' * 4097}"]
)
def test_a_question_without_one_token_is_malformed(query: str) -> None:
    """No guess is made."""
    assert sent(query=query).answer.status == 400
    assert sent(query=query + "&a" * 20).answer.status == 400


@in_one_test
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value":[]}', b'{"value":{}}', b"\xff"])
def test_what_holds_no_notification_is_malformed(body: bytes) -> None:
    """And only a POST is one."""
    assert sent(body).answer.status == 400
    assert sent(CHANGED, method="GET").answer.status == 405


@in_one_test
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"client_state": "short"}, "client_state: must have 16 to 128"),
        ({"client_state": None, "notification_url": "https://revoker.example.com/graph"}, "needs client_state"),
        ({"tenant": "a/b"}, "tenant"),
        ({"graph_url": "http://graph.microsoft.com"}, "must start with https://"),
        ({"notification_url": "http://revoker.example.com/graph"}, "must start with https://"),
    ],
)
def test_settings_that_would_prove_nothing_are_refused(settings: dict[str, Any], said: str) -> None:
    """Without a value in the message."""
    with pytest.raises(ValidationError, match=said) as refused:
        Settings.model_validate(SETTINGS | settings)
    assert "a-secret" not in str(refused.value)


def test_without_a_state_there_is_no_subscription_and_no_address() -> None:
    """The look at the tenant remains."""
    bare = Settings.model_validate(SETTINGS | {"client_state": None})
    assert (bare.is_pushed, bare.is_swept) == (False, True)
    assert Graph(bare).judge(arrival(CHANGED)).word is Word.UNPROVED
    assert STATE not in repr(Settings.model_validate(SETTINGS))


@given(st.binary(max_size=200), st.text(max_size=80))
def test_whatever_strangers_send_is_answered(body: bytes, text: str) -> None:
    """And has us look at nothing."""
    assert not sent(body).looks
    assert not sent(body, query=quote(text, errors="replace")).looks
