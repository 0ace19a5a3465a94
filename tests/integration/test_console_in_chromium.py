"""The console in a real browser: what operators do there, by mouse and by keyboard, with script and without."""

import pytest
from chromium_desk import DeskAtWork
from in_one_test import in_one_test
from playwright.sync_api import expect

pytest_plugins = ["chromium_fixtures"]


def wrong_and_right_passwords(desk: DeskAtWork) -> None:
    """Whoever is not let in is told so; whoever is, is where they wanted to go."""
    tab = desk.tab(None)
    tab.open("/settings")
    for password in ("not the password of olga", "correct horse battery staple"):
        tab.refused.add(tab.page.url)
        tab.refused.add(f"{desk.url}/sign-in")
        tab.page.get_by_label("User name").fill("olga")
        tab.page.get_by_label("Password").fill(password)
        tab.button("Sign in").click()
        if password.startswith("not"):
            expect(tab.page.get_by_role("alert")).to_be_visible()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("Settings")


def a_cause_is_found_and_replayed(desk: DeskAtWork) -> None:
    """Cause, plan, reason, progress, result: the plan says how many, and the person is out."""
    event, tab = desk.die(3), desk.tab()
    tab.open("/causes")
    expect(tab.page.locator("tr[data-row]")).to_have_count(1)
    tab.button("Plan replay").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Replay 3 dead letters")
    tab.confirm("the permission is back")
    assert tab.result() == {"replayed": "3", "settled": "3"}
    tab.open(f"/event?id={event}")
    expect(tab.page.locator(".verdict")).to_contain_text("OUT everywhere")


STORIES = (wrong_and_right_passwords, a_cause_is_found_and_replayed)


@in_one_test
@pytest.mark.parametrize("story", STORIES, ids=lambda each: each.__name__)
def test_the_console_does_in_a_browser_what_it_says(desk_at_work: DeskAtWork, story: object) -> None:
    """One installation, one Chromium; each story has a tab of its own."""
    assert callable(story)
    story(desk_at_work)
