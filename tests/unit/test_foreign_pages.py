"""What a foreign page makes a browser send changes nothing at the console (CSRF)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test

from worker.console.sign_in.foreign_pages import SAFE, is_own

OWN = {"https://desk.example.com", "http://localhost:9460"}
UNSAFE = st.one_of(st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "post", "CONNECT", "BREW"]), st.text(max_size=8))
unsafe = UNSAFE.filter(lambda method: method not in SAFE)
sites = st.sampled_from(["same-origin", "same-site", "cross-site", "none", "", "Same-Origin", "same-origin, none"])
origins = st.one_of(st.sampled_from([*OWN, "null", "https://evil.example", "https://desk.example.com."]), st.text())


@given(method=st.sampled_from(sorted(SAFE)), site=st.lists(sites), origin=st.lists(origins))
def test_what_changes_nothing_anybody_may_ask_for(method: str, site: list[str], origin: list[str]) -> None:
    """A link in a mail, a bookmark, the way back from the OpenID provider."""
    assert is_own(method, site, origin, OWN)


@given(method=unsafe, site=st.lists(sites, min_size=1), origin=st.lists(origins))
def test_where_the_browser_says_where_from_nothing_else_counts(method: str, site: list[str], origin: list[str]) -> None:
    """Only `same-origin`, said once: an own Origin does not mend it, as of a page on another port of this host."""
    assert is_own(method, site, origin, OWN) is (site == ["same-origin"])


@given(method=unsafe, origin=st.lists(origins))
def test_an_old_browser_is_known_by_its_origin(method: str, origin: list[str]) -> None:
    """One that is ours, letter for letter, said once; without any nobody knows who asks."""
    assert is_own(method, [], origin, OWN) is (len(origin) == 1 and origin[0] in OWN)


@in_one_test
@pytest.mark.parametrize(
    ("site", "origin", "expected"),
    [
        (["same-origin"], ["https://desk.example.com"], True),
        (["same-site"], ["https://desk.example.com"], False),
        (["none"], ["https://desk.example.com"], False),
        ([], ["https://desk.example.com:443"], False),
        ([], ["https://desk.example.com.evil.example"], False),
        ([], ["http://desk.example.com"], False),
        ([], ["null"], False),
        ([], [], False),
    ],
)
def test_a_form_of_each_kind_of_page(site: list[str], origin: list[str], *, expected: bool) -> None:
    """The cases as browsers send them."""
    assert is_own("POST", site, origin, OWN) is expected
