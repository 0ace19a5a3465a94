"""A table with a classic mistake does not load: the mistake is named, with its setting, and no value is shown."""

from typing import Any

import pytest
from calls import API_KEY
from declared_tables import table
from in_one_test import in_one_test
from pydantic import ValidationError

from tasks.providers.declared import HttpSettings
from tasks.providers.declared.user_ids import is_user_id

OK = {"status": 204, "means": "accepted"}
REFUSED = {"status": 401, "means": "credential"}
DEAD_401 = {"status": 401, "means": "already_revoked"}


def load(part: str = "user", /, **changes: Any) -> HttpSettings:
    """Load a table that is right but for *changes* of its call."""
    call = {"request": "DELETE /users/{user_id}", "user_id": "uuid", "default": "dead", "outcomes": [OK, REFUSED]}
    if part == "session":
        call = {"request": "POST /revoke", "credential": "bearer", "default": "dead", "outcomes": [OK]}
    call |= changes
    call.setdefault("examples", call["outcomes"])
    auth = {"scheme": "header", "api_key": API_KEY}
    whole = {
        "base_url": "https://api.acme.example",
        "auth": auth,
        part: {k: v for k, v in call.items() if v is not None},
    }
    return HttpSettings.model_validate(whole)


def test_the_tables_without_a_mistake_load() -> None:
    """What the refusals below are compared with."""
    assert load().user
    assert load("session").session


@in_one_test
@pytest.mark.parametrize(
    ("part", "changes", "setting", "name"),
    [
        ("user", {"default": None}, "default", "Field required"),
        ("user", {"user_id": None}, "user_id", "Field required"),
        ("user", {"examples": None, "outcomes": [OK, REFUSED]}, "examples", "Field required"),
        ("user", {"examples": []}, "examples", "at least 1"),
        ("user", {"examples": [OK]}, "outcomes.2", "no_example"),
        ("user", {"examples": [OK, REFUSED, {"status": 404, "means": "accepted"}]}, "examples.3", "example_disagrees"),
        ("user", {"outcomes": [OK, REFUSED, {"status": 204, "means": "dead"}]}, "outcomes.3", "unreachable_row"),
        (
            "user",
            {"examples": [OK], "outcomes": [OK, {**REFUSED, "status": [401, 403]}, {**REFUSED, "json": {"a": 1}}]},
            "outcomes.3",
            "unreachable_row",
        ),
        ("user", {"outcomes": [OK, {"status": 401, "means": "already_revoked"}]}, "outcomes.2", "refusal_as_success"),
        ("user", {"outcomes": [OK, {"status": 403, "means": "already_revoked"}]}, "outcomes.2", "refusal_as_success"),
        ("user", {"outcomes": [OK, {"status": 302, "means": "accepted"}]}, "outcomes.2", "redirect_as_success"),
        ("user", {"outcomes": [OK, {"status": 307, "means": "retry"}]}, "outcomes.2", "redirect_as_success"),
        ("user", {"outcomes": [OK, {"status": 404, "means": "accepted"}]}, "outcomes.2", "failure_as_success"),
        ("user", {"outcomes": [OK, {"status": 503, "means": "already_revoked"}]}, "outcomes.2", "failure_as_success"),
        ("user", {"examples": [OK], "outcomes": [OK, {"status": 600, "means": "dead"}]}, "outcomes.2", "no_status"),
        ("user", {"outcomes": [REFUSED]}, "outcomes", "no_success"),
        (
            "user",
            {"outcomes": [{"status": 200, "json": {"ok": True}, "means": "accepted"}]},
            "outcomes",
            "success_without_meaning",
        ),
        ("session", {"outcomes": [OK, DEAD_401]}, "outcomes.2", "silence_as_success"),
        ("session", {"outcomes": [OK, REFUSED]}, "outcomes.2", "no_own_credential"),
        ("session", {"request": "POST /revoke/{token}"}, "request", "token_in_url"),
        ("session", {"request": "POST /revoke?token=x"}, "request", "token_in_url"),
        ("session", {"request": "POST /revoke?a={reference}"}, "request", "placeholder_in_query"),
        ("session", {"credential": "query:token"}, "credential", "should match pattern"),
        ("session", {"credential": "reference", "request": "DELETE /s/{reference}"}, "reference", "no_reference_rule"),
        ("session", {"credential": "form:token", "json": {"a": 1}}, "credential", "two_bodies"),
        ("session", {"credential": "form:token", "form": {"token": "x"}}, "credential", "member_taken"),
        ("user", {"request": "DELETE /users/u-{user_id}"}, "request", "plain segments"),
        ("user", {"request": "DELETE /users/../{user_id}"}, "request", "plain segments"),
        ("user", {"request": "DELETE //{user_id}.evil.example"}, "request", "plain segments"),
        ("user", {"request": "DELETE //", "json": {"a": "{user_id}"}}, "request", "plain segments"),
        ("user", {"request": "DELETE /users/{user_id}//"}, "request", "plain segments"),
        ("user", {"request": "DELETE /users/{who}"}, "request", "unknown_placeholder"),
        ("user", {"request": "DELETE /users"}, "request", "wrong_placeholder"),
        ("user", {"json": {"a": "id={user_id}"}}, "json", "unknown_placeholder"),
        ("user", {"headers": {"Authorization": "planted"}}, "headers", "secret_in_definition"),
        ("user", {"headers": {"X-Api-Key": "planted"}}, "headers", "secret_in_definition"),
        ("user", {"user_id": "[a-z]{2,20}"}, "user_id", "user_id_admits_sibling"),
        ("user", {"user_id": "[a-z.]{1,20}"}, "user_id", "user_id_admits_sibling"),
        ("user", {"user_id": ".*"}, "user_id", "unclear_user_id"),
        ("user", {"user_id": "[^/]{3,9}"}, "user_id", "unclear_user_id"),
        ("user", {"user_id": "(me|[0-9]{3})"}, "user_id", "unclear_user_id"),
        ("user", {"user_id": "[z-a]{3}"}, "user_id", "unclear_user_id"),
    ],
)  # fmt: skip
def test_a_classic_mistake_is_refused_by_its_name(part: str, changes: dict[str, Any], setting: str, name: str) -> None:
    """Each of these tables would some day say `out` of a living token, or ask another endpoint."""
    with pytest.raises(ValidationError) as refusal:
        load(part, **changes)
    told = str(refusal.value)
    assert setting in told
    assert name in told
    assert "planted" not in told
    assert API_KEY not in told


@pytest.mark.parametrize("url", ["http://api.acme.example", "http://10.0.0.1", "https://u:planted@api.acme.example"])
def test_credentials_never_travel_in_clear(url: str) -> None:
    """Http is for loopback; a base URL holds no password."""
    for place in ("base_url", "token_url"):
        whole = table("genesys")
        whole["auth"] |= {"client_secret": API_KEY}
        (whole if place == "base_url" else whole["auth"])[place] = url
        with pytest.raises(ValidationError, match=place) as refusal:
            HttpSettings.model_validate(whole)
        assert "planted" not in str(refusal.value)


@pytest.mark.parametrize(
    ("rule", "value", "is_admitted"),
    [
        ("email", "ada.l+x@example.com", True),
        ("email", "..@example.com", False),
        ("email", "a@b/../me", False),
        ("number", "0815", True),
        ("number", "٣", False),
        ("00u[A-Za-z0-9]{17}", "00u1a2b3c4d5e6f7g8h9", True),
        ("00u[A-Za-z0-9]{17}", "00u1a2b3c4d5e6f7g8h9\n", False),
        ("[a-z0-9]{3,20}", "self", False),
    ],
)
def test_a_rule_admits_ids_and_no_words(rule: str, value: str, *, is_admitted: bool) -> None:
    """Whatever the rule: words that vendors use for the caller or for everybody are nobody's id."""
    assert is_user_id(rule, value) is is_admitted
