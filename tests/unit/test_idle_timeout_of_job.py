"""The session-timeout job of examples/ believes an idle timeout that Genesys Cloud can have set, and no other."""

from typing import Any

import pytest
from in_one_test import in_one_test
from session_timeout_job.genesys import GenesysError, _seconds
from session_timeout_job.settings import is_safe


@in_one_test
@pytest.mark.parametrize("seconds", [299, 28_801, 0, -1800, True, 1800.5, "1800", None])
def test_a_timeout_that_cannot_be_set_ends_no_session(seconds: Any) -> None:
    """A wrong one would end the sessions of people who are at work."""
    with pytest.raises(GenesysError, match="300 to 28800"):
        _seconds({"enableIdleTokenTimeout": True, "idleTokenTimeoutSeconds": seconds})


@in_one_test
@pytest.mark.parametrize("enabled", [None, 1, "true", 0, [True]])
def test_a_switch_that_is_neither_on_nor_off_ends_no_session(enabled: Any) -> None:
    """Nor does an answer without one."""
    with pytest.raises(GenesysError):
        _seconds({"enableIdleTokenTimeout": enabled, "idleTokenTimeoutSeconds": 1800})


def test_the_timeout_of_the_organization_is_taken_from_end_to_end() -> None:
    """Off is None."""
    said = [{"enableIdleTokenTimeout": True, "idleTokenTimeoutSeconds": each} for each in (300, 1800, 28_800)]
    assert [*map(_seconds, said)] == [300, 1800, 28_800]
    assert _seconds({"enableIdleTokenTimeout": False, "idleTokenTimeoutSeconds": 1800}) is None


@in_one_test
@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://api.example.com", True),
        ("http://127.0.0.1:8099/genesys", True),
        ("http://api.example.com", False),
        ("http://127.0.0.1@api.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://api.example.com", False),
        ("amqps://rabbitmq.example.com", False),
    ],
)
def test_a_secret_goes_over_tls_or_stays_here(url: str, *, is_one: bool) -> None:
    """A URL may name a user, and still leads to its host."""
    assert is_safe(url, "https") is is_one
