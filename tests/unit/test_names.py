"""How names are compared, and what of them is shown."""

import unicodedata
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.names import address, forms, mask, normalised

INVISIBLE: Final = (
    "\u200b",
    "\u200d",
    "\u00ad",
    "\ufeff",
    "\u200f",
    "\u202e",
    "\u2066",
    "\u034f",
    "\ufe0f",
    "\U000e0041",
)
NAMES: Final = st.text(max_size=60) | st.emails() | st.builds("{}@{}".format, st.text(max_size=9), st.text(max_size=30))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("b\u00fcro@m\u00fcnchen.example", "bu\u0308ro@mu\u0308nchen.example"),
        ("b\u00fcro@m\u00fcnchen.example", "b\u00fcro@xn--mnchen-3ya.example"),
        ("b\u00fcro@m\u00fcnchen.example", "B\u00dcRO@XN--MNCHEN-3YA.Example."),
        ("ada@example.com", "ada@example\u3002com"),
        ("ada@example.com", "ada@\uff45xample\uff0ecom"),
        ("ada@stra\u00dfe.example", "ada@xn--strae-oqa.example"),
        ("ada@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "ada@xn--mgba3gch31f060k.example"),
        ("\u1e9e-1", "\u00df-1"),
        ("\u0390", "\u03b9\u0308\u0301"),
        ("Ada.Byron", "  ada.byron\n"),
    ],
)
def test_all_spellings_of_a_name_are_one(one: str, other: str) -> None:
    """NFC and NFD, either case, a domain as Unicode or as an A-label, with the root's dot or without."""
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize("sign", INVISIBLE)
@pytest.mark.parametrize("name", ["ada@example.com", "ada-1"])
def test_what_nobody_sees_makes_no_other_name(name: str, sign: str) -> None:
    """Before it, within it and behind it."""
    assert {normalised(sign + name), normalised(f"{name[:2]}{sign}{name[2:]}"), normalised(name + sign)} == {name}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ada@example.org"),
        ("ada@example.com", "ada.b@example.com"),
        ("ada@sub.example.com", "ada@example.com"),
        ("42", "042"),
        ("x\u00b2", "x2"),
        ("b\u00fcro", "buro"),
    ],
)
def test_names_that_differ_to_the_eye_stay_apart(one: str, other: str) -> None:
    """Compatible characters are mapped in domains alone, where a look-up maps them."""
    assert normalised(one) != normalised(other)


@given(name=NAMES)
def test_every_name_has_one_normal_spelling(name: str) -> None:
    """Whatever comes: it never fails, it is a fixed point, and its canonical equivalents share it."""
    once = normalised(name)
    assert normalised(once) == once
    assert {normalised(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")} == {once}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "…"),
        ("al", "…"),
        ("ada", "a…"),
        ("alices", "a…s"),
        ("ada.byron-lovelace", "ad…ce"),
        ("alice@example.com", "a…@example.com"),
        ("ada.byron@example.com", "ad…@example.com"),
        ("al@example.com", "…@example.com"),
        ("ada@m\u00fcnchen.example", "a…@m\u00fcnchen.example"),
        ("@mysecretname.example", "@m…le"),
        ("a@b@example.com", "a@…om"),
        ("x@hunter2hunter2", "x@…r2"),
        ("x@my secret.name", "x@…me"),
        ("x@10.20.30.40", "x@…40"),
        ("x@-bad-.example", "x@…le"),
        ("x@two..dots", "x@…s"),
        ("\u200b\u200b\u200b\u200b\u200b\u200bada", "a…"),
        ("evil\u202e@moc.example", "e…@moc.example"),
    ],
)
def test_a_mask_shows_a_third_at_most_and_a_domain_of_addresses_alone(name: str, shown: str) -> None:
    """What only looks like an address keeps the rest to itself; what nobody sees adds no length."""
    assert mask(name) == shown


@given(name=NAMES)
def test_no_mask_shows_more_than_a_third(name: str) -> None:
    """Of an address: of what stands before its `@`."""
    head, _, tail = mask(name).rpartition("…")
    hidden = name.rpartition("@")[0] if tail.startswith("@") else name
    shown = head if tail.startswith("@") else head + tail
    assert 3 * len(shown) <= len(unicodedata.normalize("NFC", hidden))


@given(st.text(st.characters(max_codepoint=127), max_size=40))
def test_plain_names_take_a_shorter_way_to_the_same(name: str) -> None:
    """With a character that nobody sees they take the long way."""
    unseen = f"{name}\u200b"
    assert (normalised(name), mask(name)) == (normalised(unseen), mask(unseen))
    local, at, domain = name.rpartition("@")
    assert address(name) == address(local + at + domain.replace(".", "\u3002"))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ada@example.com", "acct:ada@example.com"),
        ("acct:Ada@Example.com", "ada@example.com"),
        ("mailto:ada@example.com", "ada@example.com"),
        ("+44 (20) 7946-0958", "+442079460958"),
        ("tel:+44.20.7946.0958", "+442079460958"),
        ("did:example:ada", "did:example:ada"),
    ],
)
def test_a_name_is_looked_for_in_every_form_that_an_event_may_give(typed: str, found: str) -> None:
    """As it was typed, too."""
    assert {normalised(each) for each in forms(typed)} >= {normalised(found), normalised(typed)}


@given(NAMES)
def test_no_name_has_many_forms(name: str) -> None:
    """Each is another look-up."""
    assert 1 <= len(forms(name)) <= 6
