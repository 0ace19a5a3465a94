"""`/tokens/{userId}` has dangerous siblings: `/tokens/me` would revoke the worker's own token."""

import aiohttp
import pytest
from calls import CLIENT_SECRET, OPENER, USER_ID, call
from fake_provider import FakeProvider
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from pydantic import SecretStr

from tasks.outcome import Permanent, Reason
from tasks.providers import KINDS, genesys
from tasks.providers.genesys import GenesysSettings
from tasks.providers.genesys.provider import Genesys
from tasks.providers.provider import endpoint

PROBES = [
    "me", "ME", "Me", "timeout", "", ".", "..", "./me", "x/../me", "%6d%65", "m%65", "me#", "me?x=1", "../users/x",
    "me/", "/me", "//me", "me%00", "me\x00", " me", "me\n", "..%2fme", "%2e%2e/me", USER_ID + "/../me",
    USER_ID + "?x=1", USER_ID + "#", USER_ID + "\n", f"{{{USER_ID}}}", f"urn:uuid:{USER_ID}", USER_ID.replace("-", ""),
    "\uff14f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77", None,
]  # fmt: skip


@in_one_test
@pytest.mark.parametrize("user_id", PROBES)
async def test_a_user_id_that_is_no_uuid_makes_no_request_at_all(
    server: FakeProvider, session: aiohttp.ClientSession, user_id: str | None
) -> None:
    """Not even a login; and the preview refuses it as well."""
    secret = SecretStr(CLIENT_SECRET)
    settings = GenesysSettings(api_base_url=server.url, login_base_url=server.url, client_id="c", client_secret=secret)
    provider = Genesys("genesys", settings, session, OPENER)
    stray = call(genesys.DELETE_TOKEN, "genesys", user_id=user_id)
    assert await provider.execute(stray) == Permanent(Reason.ROUTE_UNRESOLVABLE, {"invalid": "user_id"})
    assert server.heard + server.logins == []
    with pytest.raises(ValueError, match="user_id must be a UUID"):
        provider.preview(stray)


def test_planning_knows_the_same_rule() -> None:
    """A user id that the provider would refuse never becomes a call."""
    plan = KINDS["genesys"].user
    assert plan is not None
    assert plan.is_user_id(USER_ID)
    assert not [probe for probe in PROBES if probe is not None and plan.is_user_id(probe)]


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_segment_that_would_climb_is_refused(segment: str) -> None:
    """No quoting helps against dots: servers and proxies resolve them."""
    with pytest.raises(ValueError, match="another endpoint"):
        endpoint("https://api.test", "tokens", segment)


@given(st.text())
def test_a_path_segment_never_reaches_another_endpoint(segment: str) -> None:
    """Whatever the segment holds, it stays one segment below its parent, or is refused."""
    try:
        url = endpoint("https://api.test/base", "tokens", segment)
    except ValueError:
        assert segment in {"", ".", ".."} or not segment.isprintable()
        return
    assert segment not in {"", ".", ".."}
    assert url.raw_path.startswith("/base/tokens/")
    assert url.raw_path.count("/") == 3
    assert (url.query_string, url.fragment, url.host) == ("", "", "api.test")
