"""The settings of an OpenID provider: what cannot be is named before anything starts."""

from typing import Any

import pytest
from in_one_test import in_one_test
from openid_provider import CLIENT, ROLES, SECRET

from worker.settings import Settings, SettingsError


@in_one_test
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"issuer": "http://idp.example.com"}, "console.oidc.issuer"),
        ({"issuer": "https://idp.example.com/?x=1"}, "console.oidc.issuer"),
        ({"issuer": "https://user@idp.example.com"}, "console.oidc.issuer"),
        ({"issuer": "https://idp.example.com:0"}, "console.oidc.issuer"),
        ({"roles": {}}, "console.oidc.roles"),
        ({"roles": {"staff": "root"}}, "console.oidc.roles"),
        ({"scopes": "profile email"}, "console.oidc.scopes"),
        ({"client_id": "with space"}, "console.oidc.client_id"),
        ({"secret": "x"}, "console.oidc.secret"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_named(changed: dict[str, Any], named: str) -> None:
    """Before anything starts; no value is shown."""
    oidc = {"issuer": "https://idp.example.com", "client_id": CLIENT, "client_secret": SECRET, "roles": ROLES} | changed
    console = {"public_url": "https://desk.example.com", "oidc": oidc}
    with pytest.raises(SettingsError, match=named) as refused:
        Settings.of({"subject_key": "x" * 32, "console": console})
    assert SECRET not in str(refused.value)


def test_an_openid_provider_must_know_the_way_back() -> None:
    """Without `public_url` there is no redirect URI."""
    oidc = {"issuer": "https://idp.example.com", "client_id": CLIENT, "roles": ROLES}
    with pytest.raises(SettingsError, match="public_url"):
        Settings.of({"subject_key": "x" * 32, "console": {"oidc": oidc}})
