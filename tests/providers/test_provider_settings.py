"""How providers are configured: refused at start, by the field's name, never by its value."""

from typing import Any

import aiohttp
import pytest
from calls import API_KEY, CLIENT_SECRET, OPENER
from in_one_test import in_one_test
from pydantic import ConfigDict, TypeAdapter, ValidationError
from yarl import URL

from tasks.providers import KINDS, ProviderSettings, declared, genesys, make_provider, operations, ssf, wibmo
from tasks.providers.genesys import GenesysSettings
from tasks.providers.genesys.settings import REGIONS
from tasks.providers.provider import Request

SETTINGS: TypeAdapter[Any] = TypeAdapter(ProviderSettings | None, config=ConfigDict(hide_input_in_errors=True))
GENESYS = {"kind": "genesys", "region": "eu-central-1", "client_id": "c", "client_secret": CLIENT_SECRET}
FINBOURNE = {"kind": "finbourne", "domain": "example"}
CIPHER = {"scheme": "none", "accept_risk": "none"}
WIBMO = {"kind": "wibmo", "base_url": "https://wibmo.test", "api_key": API_KEY, "cipher": CIPHER}


@pytest.mark.parametrize("settings", [GENESYS, FINBOURNE, WIBMO], ids=lambda settings: settings["kind"])
async def test_each_kind_is_made_from_its_settings(session: aiohttp.ClientSession, settings: dict[str, Any]) -> None:
    """The settings' kind decides; the instance has its own name."""
    provider = make_provider("mine", SETTINGS.validate_python(settings), session, OPENER)
    assert (provider.name, type(provider).__name__.lower()) == ("mine", settings["kind"])


def test_every_operation_belongs_to_one_kind() -> None:
    """Planning and the credential policy know them all."""
    assert len(set(operations())) == len(operations())
    assert {each.partition(".")[0] for each in operations()} == KINDS.keys()
    own = {each for kind in KINDS.values() for each in operations() if kind.uses_own_credential(each)}
    ours = {declared.REVOKE_SESSION, declared.REVOKE_USER, declared.REVOKE_LISTED}
    assert own == {genesys.DELETE_TOKEN, wibmo.INVALIDATE_TOKEN, ssf.SIGNAL_USER, *ours}


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_gives_both_hosts(region: str) -> None:
    """api.<domain> and login.<domain>."""
    settings = SETTINGS.validate_python({**GENESYS, "region": region})
    assert (settings.api, settings.login) == (f"https://api.{REGIONS[region]}", f"https://login.{REGIONS[region]}")


def test_an_explicit_host_wins_over_the_region() -> None:
    """Private deployments and sandboxes."""
    settings = SETTINGS.validate_python({**GENESYS, "api_base_url": "http://127.0.0.1:8080/"})
    assert (settings.api, settings.login) == ("http://127.0.0.1:8080", "https://login.mypurecloud.de")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"region": "moon-1"}, "region"),
        ({"region": None}, "set region, or both api_base_url and login_base_url"),
        ({"region": None, "api_base_url": "https://a.test"}, "set region"),
        ({"client_secret": "two words"}, "client_secret"),
        ({"client_secret": ""}, "client_secret"),
        ({"timeout": 0}, "timeout"),
        ({"not_found": "ignore"}, "not_found"),
        ({"regoin": "eu-west-1"}, "regoin"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(changes: dict[str, Any], named: str) -> None:
    """Whoever starts the worker learns what to mend, and a log learns nothing."""
    with pytest.raises(ValidationError) as refusal:
        GenesysSettings.model_validate({**GENESYS, **changes})
    assert named in str(refusal.value)
    assert "two words" not in str(refusal.value)
    assert CLIENT_SECRET not in str(refusal.value)


@in_one_test
@pytest.mark.parametrize(
    "url",
    [
        "http://wibmo.test", "ftp://wibmo.test", "wibmo.test", "", "https://", "https:///x", "http://10.0.0.1",
        "http://localhost.test", "http://127.0.0.1.test", "https://user:planted@wibmo.test", "https://wibmo.test?a=b",
        "https://wibmo.test#a", "https://wibmo.test:99999", "https://wibmo.test:planted", "https://a..b",
        "https://wibmo.test/../x", "https://wibmo.test/a/./b", "https://wibmo.test/%2e%2e", "https://wibmo.test//x",
        "https://wib mo.test", "https://-a.test", "https://[::1", "http://[2001:db8::1]", "https://wibmo.test:0",
        "http://[::1%25evil]", "http://[::1%evil]", "https://[fe80::1%25eth0]", "https://planted\u2100@wibmo.test",
        "https://user:1/planted@wibmo.test", "https://user:p#planted@wibmo.test", "https://user:[planted@wibmo.test",
    ],
)  # fmt: skip
def test_a_base_url_is_https_and_nothing_but_a_base(url: str) -> None:
    """Credentials never travel in clear, and no path of ours is bent by a setting."""
    with pytest.raises(ValidationError, match="base_url") as refusal:
        SETTINGS.validate_python({**WIBMO, "base_url": url})
    assert "planted" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:81", "http://127.9.9.9", "http://localhost", "http://[::1]:82/a", "https://wibmo.test/a/b"],
)
def test_loopback_may_be_plain(url: str) -> None:
    """The sandbox needs no certificate; a trailing slash is no other address."""
    assert SETTINGS.validate_python({**WIBMO, "base_url": f"{url}/"}).base_url == url


@pytest.mark.parametrize(
    "changes", [{"domain": None}, {"domain": "a.b"}, {"domain": "evil/x"}, {"application": "a\nb"}]
)
def test_finbourne_needs_a_domain_or_a_base_url(changes: dict[str, Any]) -> None:
    """A domain is one DNS label, a header value one word."""
    with pytest.raises(ValidationError, match=r"domain|application"):
        SETTINGS.validate_python({**FINBOURNE, **changes})


@pytest.mark.parametrize("codes", [[], [True], [1.5], [None]])
def test_success_codes_are_whole_numbers_or_strings(codes: list[object]) -> None:
    """True equals 1 and must not pass for it; an empty set would make every call fail."""
    with pytest.raises(ValidationError, match="success_codes"):
        SETTINGS.validate_python({**WIBMO, "success_codes": codes})


@pytest.mark.parametrize("settings", [GENESYS, WIBMO], ids=lambda settings: settings["kind"])
def test_settings_show_no_secret(settings: dict[str, Any]) -> None:
    """Banners, tracebacks and `doctor` print settings."""
    shown = repr(SETTINGS.validate_python(settings))
    assert CLIENT_SECRET not in shown
    assert API_KEY not in shown


def test_a_request_shows_neither_header_values_nor_body() -> None:
    """It may end up in a traceback."""
    request = Request("POST", URL("https://api.test/x"), {"Authorization": CLIENT_SECRET}, CLIENT_SECRET.encode())
    assert CLIENT_SECRET not in repr(request)
