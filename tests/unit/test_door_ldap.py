"""LDAP directories, without a server: what one says becomes news, and a change of a person an event."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from pydantic import ValidationError

from tasks.doors.ldap import Settings
from tasks.doors.ldap.people import GONE, Known, Names, News, Person, is_stale, missed, person_of, seen
from tasks.doors.ldap.refresh import CookieSaid, EntrySaid, IdsSaid, PhaseSaid, Said, Synchronization, merged
from tasks.doors.ldap.servers import time_of

NOW: Final = datetime(2026, 11, 27, 12, tzinfo=UTC)
CSN: Final = "20261127115959.123456Z#000000#001#000000"
ADA, BOB, CYD = (f"{n:032x}" for n in (1, 2, 3))
ISSUER: Final = "https://idp.example.com"
BASE: Final = {"kind": "ldap", "url": "ldaps://ldap.example.com", "server": "openldap", "base": "dc=example,dc=com"}


def person(person_id: str, *, is_disabled: bool = False, marker: str = CSN) -> Person:
    """Somebody as a directory has them."""
    return Person(person_id, Names(f"user-{person_id[-1]}", "sub"), is_disabled, marker, NOW)


def entry(person_id: str, state: str = "add", cookie: str | None = None) -> EntrySaid:
    """An entry as a server sends it."""
    return EntrySaid(state, person_id, person(person_id) if state in {"add", "modify"} else None, cookie)


def heard(synchronization: Synchronization, *said: Said) -> list[News]:
    """What is news of what is said."""
    return [news for each in said if (news := synchronization.hear(each)) and not news.is_empty]


def test_a_refresh_is_news_only_as_a_whole() -> None:
    """Until the server says that it is done, whoever was not mentioned may yet be."""
    synchronization = Synchronization(None)
    assert heard(synchronization, entry(ADA, cookie="c1"), IdsSaid(frozenset([BOB]), are_deleted=False)) == []
    [news] = heard(synchronization, PhaseSaid(is_present=True, is_done=True, cookie="c2"))
    assert (set(news.mentioned()), news.is_whole, news.cursor) == ({ADA, BOB}, True, "c2")


def test_a_cookie_of_a_refresh_without_changes_is_kept() -> None:
    """python-ldap#563: it comes with the end of the refresh, and was lost where nothing changed after it."""
    [news] = heard(Synchronization("c1"), PhaseSaid(is_present=False, is_done=True, cookie="c2"))
    assert (news.cursor, news.is_whole, news.people) == ("c2", False, {})


def test_the_cookies_of_several_servers_are_kept_together() -> None:
    """python-ldap#562: with the CSN of one server alone, every start was a refresh of everything."""
    before = "rid=000,sid=001,csn=20261127100000.000000Z#000000#001#000000;20261127110000.000000Z#000000#002#000000"
    told = "rid=000,sid=002,csn=20261127120000.000000Z#000000#002#000000"
    both = "csn=20261127100000.000000Z#000000#001#000000;20261127120000.000000Z#000000#002#000000"
    assert merged(before, told) == f"rid=000,sid=002,{both}"
    assert merged(f"rid=000,{both}", "rid=000,csn=20261127090000.000000Z#000000#002#000000") == f"rid=000,{both}"
    assert merged(None, told) == told
    assert merged("host:389#dn:base:filter#3", "host:389#dn:base:filter#4") == "host:389#dn:base:filter#4"
    [news] = heard(Synchronization(before), PhaseSaid(is_present=False, is_done=True, cookie=told))
    assert news.cursor == f"rid=000,sid=002,{both}"


def test_ids_that_a_refresh_calls_deleted_are_heard() -> None:
    """python-ldap#564: a refresh names whom it deletes by sets of ids, and these were thrown away."""
    said = (IdsSaid(frozenset([BOB, CYD]), are_deleted=True), PhaseSaid(is_present=False, is_done=True, cookie="c2"))
    [news] = heard(Synchronization("c1"), entry(ADA, "present"), *said)
    assert (news.deleted, news.is_whole) == (frozenset([BOB, CYD]), False)


def test_of_two_cookies_of_one_refresh_the_later_is_in_force() -> None:
    """389-ds-base#4467: one comes with the end of the refresh, a second one with the entry that was changed."""
    synchronization = Synchronization("host:389#dn:base:filter#1")
    done = PhaseSaid(is_present=False, is_done=True, cookie="host:389#dn:base:filter#2")
    news = heard(synchronization, done, entry(ADA, "modify", "host:389#dn:base:filter#3"))
    assert [each.cursor for each in news] == ["host:389#dn:base:filter#2", "host:389#dn:base:filter#3"]
    assert news[1].people == {ADA: person(ADA)}


def test_after_the_refresh_every_word_is_news() -> None:
    """A change, a deletion and a cookie alone, each by itself; who is only said to be there is no news."""
    synchronization = Synchronization("c1")
    heard(synchronization, PhaseSaid(is_present=False, is_done=True, cookie="c2"))
    changed, deleted, moved = heard(synchronization, entry(ADA), entry(ADA, "delete", "c3"), CookieSaid("c4"))
    assert (set(changed.people), changed.cursor) == ({ADA}, "c2")
    assert (set(deleted.deleted), [*deleted.people], deleted.cursor) == ({ADA}, [], "c3")
    assert (moved.cursor, moved.is_whole) == ("c4", False)


def test_who_changed_to_what_was_not_said_is_to_be_read() -> None:
    """389 DS, asked to go on from a cookie, leaves out the attributes by which one is locked."""
    said = (EntrySaid("add", ADA), EntrySaid("present", BOB), PhaseSaid(is_present=False, is_done=True, cookie="c2"))
    [news] = heard(Synchronization("c1"), *said)
    assert news.unread == {ADA}


def test_only_a_change_is_an_event() -> None:
    """Somebody new is none, however locked; nor is the same again, nor another attribute."""
    after, transition = seen(None, person(ADA, is_disabled=True))
    assert (after, transition) == (Known(is_active=False, marker=CSN), None)
    assert seen(after, person(ADA, is_disabled=True, marker="later")) == (Known(is_active=False, marker="later"), None)
    enabled, transition = seen(after, person(ADA, marker="later"))
    assert transition is not None
    event = transition.event(NOW, ISSUER)
    assert (event.type, event.foreign_id, event.data["reason"]) == ("user.enabled", f"{ADA}:later:0", "ldap-enabled")
    assert enabled.is_active


def test_an_older_state_is_known_by_its_mark() -> None:
    """Two processes hear alike, one later: what it hears then is older than what is known."""
    known = Known(is_active=True, marker=CSN)
    older, newer = (CSN.replace("59.123456Z", f"{each}.123456Z") for each in ("58", "59"))
    assert is_stale(known, person(ADA, marker=older))
    assert not is_stale(known, person(ADA, marker=newer))
    assert not is_stale(Known(is_active=True, marker="1000"), person(ADA, marker="999"))
    before, after = "1234911111", "1234991111"  # USNs, whose digits could be read as times
    assert not is_stale(Known(is_active=True, marker=before), person(ADA, marker=after))


def test_an_event_has_the_directorys_id_mark_and_time() -> None:
    """The same change makes the same event; several under one mark, whose unit is a second at 389 DS, differ."""
    known, events = Known(is_active=True, marker="before"), []
    for is_disabled in (True, False, True):
        known, transition = seen(known, person(ADA, is_disabled=is_disabled, marker="one"))
        assert transition is not None
        events.append(transition.event(NOW + timedelta(seconds=5), ISSUER))
    assert [each.foreign_id for each in events] == [f"{ADA}:one:{n}" for n in range(3)]
    assert events[0].at == NOW
    names = [{"format": "iss_sub", "iss": ISSUER, "sub": "sub"}, {"format": "opaque", "id": "user-1"}]
    assert events[0].data["sub_id"] == {"format": "aliases", "identifiers": names}


@pytest.mark.parametrize("changed", [None, NOW + timedelta(minutes=1), NOW - timedelta(days=2)])
def test_a_time_that_cannot_be_that_of_the_change_is_not_told(changed: datetime | None) -> None:
    """The intake refuses the future, and an entry's last change may be years before it came into the filter."""
    _, transition = seen(
        Known(is_active=True, marker="x"), Person(ADA, Names("ada"), marker=CSN, is_disabled=True, changed=changed)
    )
    assert transition is not None
    assert transition.event(NOW, None).at == NOW


def test_who_is_gone_is_out_and_may_come_back() -> None:
    """A deletion is an event where they were active; whoever is back is enabled, under an id of its own."""
    gone, transition = missed(Known(is_active=True, marker=CSN), ADA, Names("ada"))
    assert transition is not None
    event = transition.event(NOW, None)
    assert (event.type, event.foreign_id, event.data["reason"]) == ("user.disabled", f"{ADA}:{CSN}:1", GONE)
    assert missed(Known(is_active=False, marker=CSN), ADA, Names("ada"))[1] is None
    back, again = seen(gone, person(ADA))
    assert again is not None
    assert (again.event(NOW, None).foreign_id, back.is_gone) == (f"{ADA}:{CSN}:2", False)


OPENLDAP: Final[dict[str, Any]] = {
    "entryuuid": [b"6b6e7f8d-ea6b-11f1-b7aa-b12a99415a4e"],
    "uid": [b"ada"],
    "entrycsn": [CSN.encode()],
}
DS: Final[dict[str, Any]] = {
    "nsuniqueid": [b"6b6e7f8d-ea6b11f1-b7aab12a-99415a4e"],
    "uid": [b"ada"],
    "modifytimestamp": [b"20261127115959Z"],
}
AD: Final[dict[str, Any]] = {
    "objectguid": [bytes.fromhex("8d7f6e6b6beaf111b7aab12a99415a4e")],
    "userprincipalname": [b"ada@example.com"],
    "usnchanged": [b"4711"],
    "whenchanged": [b"20261127115959.0Z"],
    "useraccountcontrol": [b"512"],
}


@pytest.mark.parametrize(
    ("server", "attributes", "more", "is_disabled"),
    [
        ("openldap", OPENLDAP, {}, False),
        ("openldap", OPENLDAP, {"pwdaccountlockedtime": [b"000001010000Z"]}, True),
        ("openldap", OPENLDAP, {"pwdaccountlockedtime": [b"20261127100000Z"]}, False),  # by wrong passwords
        ("389-ds", DS, {}, False),
        ("389-ds", DS, {"nsaccountlock": [b"TRUE"]}, True),
        ("389-ds", DS, {"nsaccountlock": [b"false"]}, False),
        ("active-directory", AD, {}, False),
        ("active-directory", AD, {"useraccountcontrol": [b"514"]}, True),
        ("active-directory", AD, {"useraccountcontrol": [b"66050"]}, True),  # its password does not expire, too
    ],
)
def test_each_server_says_in_its_own_way_that_somebody_is_disabled(
    server: str, attributes: Mapping[str, Sequence[bytes]], more: Mapping[str, Sequence[bytes]], *, is_disabled: bool
) -> None:
    """A lock of too many wrong passwords is none: whoever guesses would log out others."""
    found = person_of({**attributes, **more}, Settings.model_validate({**BASE, "server": server}))
    assert found is not None
    assert (found.person_id, found.is_disabled) == ("6b6e7f8dea6b11f1b7aab12a99415a4e", is_disabled)
    assert found.changed is not None
    assert found.changed.replace(microsecond=0) == datetime(2026, 11, 27, 11, 59, 59, tzinfo=UTC)


def test_whoever_cannot_be_told_is_nobody() -> None:
    """Without an id or a readable lock an entry says nothing: neither that somebody is in, nor out."""
    ad, openldap = ({**BASE, "server": name} for name in ("active-directory", "openldap"))
    for name in ("objectguid", "usnchanged", "useraccountcontrol"):
        assert person_of({key: AD[key] for key in AD if key != name}, Settings.model_validate(ad)) is None
    for spoilt in ({"useraccountcontrol": [b"x"]}, {"objectguid": [b"short"]}):
        assert person_of({**AD, **spoilt}, Settings.model_validate(ad)) is None
    assert person_of({**OPENLDAP, "entryuuid": [b"z" * 32]}, Settings.model_validate(openldap)) is None
    unnamed = person_of({**OPENLDAP, "uid": [b"\xff"]}, Settings.model_validate(openldap))
    assert unnamed is not None
    assert not unnamed.names.user


def test_whoever_has_no_principal_name_at_active_directory_has_another() -> None:
    """It is optional there, and nobody may stay logged in for want of it."""
    settings = Settings.model_validate({**BASE, "server": "active-directory"})
    named = {**AD, "samaccountname": [b"ada"]}
    found = [person_of(each, settings) for each in (named, {**named, "userprincipalname": []})]
    assert [each and each.names.user for each in found] == ["ada@example.com", "ada"]


def test_a_value_of_ones_own_disables_too() -> None:
    """Where a directory has no lock of its server's, its attribute and value are a setting."""
    settings = Settings.model_validate({**BASE, "disabled_values": {"employeeType": "Left"}})
    left = person_of({**OPENLDAP, "employeetype": [b"staff", b"left"]}, settings)
    assert left is not None
    assert left.is_disabled


@pytest.mark.parametrize("text", ["20261127115959Z", "20261127115959.0Z", CSN])
def test_times_are_read_in_each_form(text: str) -> None:
    """GeneralizedTime with and without a fraction, and a CSN."""
    found = time_of(text)
    assert found is not None
    assert found.replace(microsecond=0) == datetime(2026, 11, 27, 11, 59, 59, tzinfo=UTC)
    assert time_of("yesterday") is None
    assert time_of(None) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "ldap://ldap.example.com"}, "in clear"),
        ({"starttls": True}, "only with ldap://"),
        ({"bind_dn": "cn=x"}, "bind_password_file"),
        ({"subject_attribute": "uid"}, "subject_issuer"),
        ({"server": "active-directory", "way": "syncrepl"}, "no syncrepl"),
        ({"url": "ldaps://u:p@ldap.example.com"}, "url"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: Mapping[str, Any], told: str) -> None:
    """A password never goes in clear, and nothing is half configured."""
    with pytest.raises(ValidationError, match=told):
        Settings.model_validate({**BASE, **change})
