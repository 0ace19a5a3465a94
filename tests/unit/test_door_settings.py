"""Doors in the settings: each fits its source, its proof and its listener, or nothing starts."""

from typing import Any, Final

import pytest
from in_one_test import in_one_test

from worker.settings import Settings, SettingsError

GTR: Final = {
    "kind": "global-token-revocation",
    "issuer": "https://idp.example.com",
    "audience": "https://me.example.com",
    "jwks_uri": "https://idp.example.com/keys",
}
IDP: Final = {"source": "https://idp.example.com", "doors": ["idp"]}


def settings(**document: Any) -> Settings:
    """The settings of an installation with one door, but for what *document* says."""
    return Settings.of({"subject_key": "k" * 32, "doors": {"idp": GTR}, "sources": {"idp": IDP}, **document})


def test_a_door_fits_its_source() -> None:
    """Which needs no other proof."""
    assert settings().sources["idp"].doors == {"idp"}


@in_one_test
@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"sources": {}}, "doors.idp: must be listed"),
        ({"sources": {"a": IDP, "b": {**IDP, "source": "urn:b"}}}, "it is in 2"),
        ({"doors": {}}, "sources.idp.doors: names a door that is not configured"),
        ({"doors": {"idp": {**GTR, "client_names": ["a"]}}}, "doors.idp.client_names: needs door.client_ca_file"),
        ({"doors": {"idp": {**GTR, "jwks_uri": "http://idp.example.com"}}}, "jwks_uri: must be https://"),
        ({"doors": {"idp": {**GTR, "jwks_file": "/keys"}}}, "doors.idp: set jwks_uri or jwks_file"),
        ({"doors": {"idp": {**GTR, "kind": "back-channel-logout", "ends_sessions": True}}}, "needs registry.enabled"),
        (
            {"doors": {"idp": {**GTR, "kind": "back-channel-logout", "ends_sessions": True, "ends_whole_user": True}}},
            "doors.idp: set ends_sessions or ends_whole_user, and not both",
        ),
        ({"doors": {"idp": {**GTR, "kind": "gate"}}}, "doors.idp: kind must be one of 'global-token-revocation'"),
        ({"doors": {"idp": {**GTR, "isuer": ""}}}, "did you mean doors.idp.issuer?"),
        ({"door": {"host": "192.0.2.1"}}, "door: host: another address than loopback"),
        ({"door": {"client_ca_file": __file__}}, "door: client_ca_file: client certificates"),
    ],
)
def test_what_does_not_fit_is_named(document: dict[str, Any], said: str) -> None:
    """By its setting, and without a value."""
    with pytest.raises(SettingsError) as refused:
        settings(**document)
    assert said in str(refused.value)


def test_no_door_leads_into_another() -> None:
    """Else the order of the settings would decide who answers."""
    two = {"idp": {**GTR, "path": "/in"}, "other": {**GTR, "path": "/in/other"}}
    with pytest.raises(SettingsError, match="the path /in of one leads into another"):
        settings(doors=two, sources={"idp": {**IDP, "doors": ["idp", "other"]}})
