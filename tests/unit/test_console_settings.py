"""Where the console may listen: on loopback, or encrypted."""

from pathlib import Path

import pytest
from certificates import self_signed
from in_one_test import in_one_test
from pydantic import ValidationError

from worker.settings.console import ConsoleSettings

FAR = "0.0.0.0"  # noqa: S104 - to be refused
PROXY = {"behind_proxy": "10.0.0.7", "public_url": "https://desk.example.com"}


@in_one_test
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"host": FAR}, "certificate_file and key_file, or behind_proxy"),
        ({"host": "desk.example.com"}, "must be an IP address"),
        ({"host": FAR, "behind_proxy": "10.0.0.7"}, "public_url"),
        ({"behind_proxy": "10.0.0.7"}, "public_url"),
        ({"host": FAR, **PROXY, "public_url": "http://desk.example.com"}, "public_url"),
        ({"public_url": "https://desk.example.com/console"}, "must be http:// or https://"),
        ({"public_url": "https://ada:pw@desk.example.com"}, "must be http:// or https://"),
        ({"public_url": "desk.example.com"}, "must be http:// or https://"),
        ({"port": 70_000}, "less than or equal"),
    ],
)
def test_an_address_that_others_reach_in_clear_is_refused(given: dict[str, str], named: str) -> None:
    """The line names the setting that is missing, and shows no value."""
    with pytest.raises(ValidationError) as refused:
        ConsoleSettings.model_validate(given)
    assert named in str(refused.value.errors(include_input=False))


def test_loopback_a_proxy_and_tls_are_enough(tmp_path: Path) -> None:
    """Each by itself. A URL is kept as a browser tells an origin."""
    assert ConsoleSettings().host == "127.0.0.1"
    assert ConsoleSettings.model_validate({"host": FAR, **PROXY}).behind_proxy == "10.0.0.7"
    pair = str(self_signed(tmp_path))
    given = {"host": FAR, "certificate_file": pair, "key_file": pair, "public_url": "https://Desk.example.com:443/"}
    found = ConsoleSettings.model_validate(given)
    assert found.public_url == "https://desk.example.com"
    assert found.tls() is not None


def test_a_certificate_and_a_proxy_exclude_each_other(tmp_path: Path) -> None:
    """Who ends TLS is one of them."""
    pair = str(self_signed(tmp_path))
    with pytest.raises(ValidationError, match="not both"):
        ConsoleSettings.model_validate({"certificate_file": pair, "key_file": pair, **PROXY})
    with pytest.raises(ValidationError, match="or neither"):
        ConsoleSettings.model_validate({"certificate_file": pair})
