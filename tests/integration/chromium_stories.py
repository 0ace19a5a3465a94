"""What operators do at the console in a browser: each story has a tab of its own, in one installation for all."""

import re

from chromium_desk import FOUR_EYES, DeskAtWork, Tab
from playwright.sync_api import expect

AWAY = (
    20_000  # milliseconds within which an open tab notices; 5 seconds are promised where the machine is not overloaded
)
FORM = '<form method=post action="{url}/plan/replay"><button name=scope value=all>Win a prize</button></form>'


def wrong_and_right_passwords(desk: DeskAtWork) -> None:
    """Whoever is not let in is told so; whoever is, is where they wanted to go."""
    tab = desk.tab(None)
    tab.open("/settings")
    tab.refused.add(f"{desk.url}/sign-in")
    for password in ("not the password of olga", "correct horse battery staple"):
        tab.page.get_by_label("User name").fill("olga")
        tab.page.get_by_label("Password").fill(password)
        tab.button("Sign in").click()
        if password.startswith("not"):
            expect(tab.page.get_by_role("alert")).to_be_visible()
    expect(tab.page.get_by_role("heading", level=1)).to_contain_text("Settings")


def an_incident_by_mouse(desk: DeskAtWork) -> None:
    """Cause, plan, reason, progress, result, explanation."""
    _incident(desk, desk.tab())


def the_same_without_script(desk: DeskAtWork) -> None:
    """Every page is whole without it, and the progress renews itself."""
    _incident(desk, desk.tab(script=False))


def _incident(desk: DeskAtWork, tab: Tab) -> None:
    """The plan says how many; nothing happens before it is confirmed; then the person is out."""
    event = desk.die(3)
    tab.open("/causes")
    expect(tab.page.locator("tr[data-row]")).to_have_count(1)
    tab.button("Plan replay").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Replay 3 dead letters")
    assert set(desk.system.states(event).values()) == {"dead"}
    tab.confirm("the permission is back")
    assert tab.result() == {"replayed": "3", "settled": "3"}
    tab.open(f"/event?id={event}")
    expect(tab.page.locator(".verdict")).to_contain_text("OUT everywhere")


def an_incident_by_keyboard(desk: DeskAtWork) -> None:
    """From signing in to signing out without a mouse; the focus is seen wherever it is."""
    event, tab = desk.die(2), desk.tab(None)
    keys = tab.page.keyboard
    tab.open("/")
    tab.tab_to(tab.page.get_by_label("User name"))
    keys.type("olga")
    tab.press("Tab")
    keys.type("correct horse battery staple\n")
    expect(tab.button("Sign out")).to_be_visible()
    tab.press("g", "l")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Dead letters")
    tab.press("/")
    keys.type("auth.forbidden\n")
    tab.page.wait_for_url("**/letters?reason=auth.forbidden")
    tab.press("j", "j", "k", "x", "e")
    expect(tab.page.locator(".verdict")).to_contain_text("NOT YET OUT")
    tab.press("g", "c")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Causes")
    tab.press("j", "r")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Replay 2 dead letters")
    tab.tab_to(tab.page.get_by_label("Why"))
    keys.type("the permission is back\n")
    tab.wait_for_result()
    assert "OUT everywhere" in desk.system.revoker("explain", "--event", event).stdout
    tab.tab_to(tab.button("Sign out"))
    tab.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Sign in")


def keys_are_listed_and_can_be_switched_off(desk: DeskAtWork) -> None:
    """For whoever dictates, or has a reader with keys of its own; the browser remembers it."""
    tab = desk.tab()
    tab.press("?")
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    tab.press("Escape")
    expect(tab.page.get_by_role("dialog")).to_be_hidden()
    tab.tab_to(tab.button("Shortcuts"))
    tab.press("Space", "g", "s")
    tab.open("/providers")
    tab.press("g", "s", "?")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Providers")
    expect(tab.page.get_by_role("dialog")).to_be_hidden()


def the_focus_stays_while_the_page_is_renewed(desk: DeskAtWork) -> None:
    """`r` is about the row that has it, and about no other."""
    desk.die(2)
    tab = desk.tab()
    tab.open("/letters")
    tab.press("j", "j")
    before = tab.focused()
    desk.die(1)
    expect(tab.page.locator("tr[data-row]")).to_have_count(3, timeout=AWAY)
    assert tab.focused() == before
    tab.press("r")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Replay 1 dead letter")
    expect(tab.page.get_by_text("1 marked")).to_be_visible()
    _everything_is_given_up(tab)


def _everything_is_given_up(tab: Tab) -> None:
    tab.open("/letters")
    tab.page.get_by_text("Discard", exact=True).click()
    tab.button("Plan discard of all").click()
    tab.confirm("a test account")


def what_cannot_be_undone_wants_a_reason_and_a_word(desk: DeskAtWork) -> None:
    """Without them nothing is discarded."""
    event, tab = desk.die(1), desk.tab()
    tab.open("/letters")
    tab.page.get_by_text("Discard", exact=True).click()
    tab.button("Plan discard of all").click()
    tab.page.locator("form.panel button").click()  # the browser asks for what is missing
    tab.page.get_by_label("Why").fill("a test account")
    tab.page.locator("form.panel button").click()
    assert set(desk.system.states(event).values()) == {"dead"}
    tab.confirm("a test account")
    assert tab.result() == {"discarded": "1"}
    tab.open("/letters?state=discarded")
    expect(tab.page.locator("td .state").first).to_have_text("discarded")


def a_provider_is_held_and_released(desk: DeskAtWork) -> None:
    """The page of all providers says who holds it, and why."""
    tab = desk.tab()
    tab.open("/providers/genesys")
    tab.button("Plan hold").click()
    tab.confirm("maintenance until noon")
    tab.open("/providers")
    expect(tab.page.locator("tr", has_text="genesys").get_by_text("maintenance until noon")).to_be_visible()
    tab.open("/providers/genesys")
    tab.button("Plan release").click()
    tab.confirm("it is back")
    tab.open("/providers/genesys")
    expect(tab.page.get_by_text("Nothing holds it")).to_be_visible()


def what_is_large_needs_two(desk: DeskAtWork) -> None:
    """Who asks for it is told so; another one finds it on the first page, reads the same plan, and runs it."""
    event, olga, oscar = desk.die(FOUR_EYES["replay"]), desk.tab(), desk.tab("oscar")
    olga.open("/causes")
    olga.button("Plan replay").click()
    expect(olga.page.get_by_text("anybody but olga may run it")).to_be_visible()
    olga.confirm("the permission is back")
    expect(olga.page.get_by_role("alert")).to_contain_text("5 need a second operator")
    assert set(desk.system.states(event).values()) == {"dead"}
    oscar.open("/")
    oscar.page.locator("section, ul.cards").get_by_role("link", name="Job").click()
    oscar.button("Plan to run").click()
    oscar.confirm("looked at with olga")
    assert oscar.result() == {"replayed": "5", "settled": "5"}
    oscar.open("/")
    expect(oscar.page.get_by_text("For a second operator")).to_be_hidden()


def a_viewer_is_offered_and_allowed_nothing(desk: DeskAtWork) -> None:
    """They see the same rows; what a page does not offer them is refused as well."""
    desk.die(1)
    tab = desk.tab("victor")
    for path in ("/letters", "/causes", "/providers/genesys"):
        tab.open(path)
        assert not tab.button("Plan").count()
    tab.refused.add(f"{desk.url}/plan/replay")
    ask = "fetch('/plan/replay', {method: 'POST', body: new URLSearchParams({scope: 'all'})}).then(told => told.status)"
    assert tab.page.evaluate(ask) == 403
    _everything_is_given_up(desk.tab())


def a_form_on_another_page_changes_nothing(desk: DeskAtWork) -> None:
    """Neither on a stranger's, nor on that of another program of the same machine, to which cookies go along."""
    tab = desk.tab()
    for origin in ("http://evil.example/", "http://127.0.0.1:1/"):
        tab.page.route(origin, lambda route: route.fulfill(body=FORM.format(url=desk.url), content_type="text/html"))
        tab.page.goto(origin)
        tab.refused.add(f"{desk.url}/plan/replay")
        with tab.page.expect_response(f"{desk.url}/plan/replay") as told:
            tab.page.get_by_role("button").click()
        assert told.value.status == 403
        expect(tab.page.get_by_role("alert")).to_be_visible()


def a_session_ended_from_outside_ends_in_the_open_tab(desk: DeskAtWork) -> None:
    """By a command, and by a user.disabled that names the operator; the tab says so without being touched.

    Also where its updates are paused, and where it heard nothing while the session ended.
    """
    viewer, operator, deaf = desk.tab("victor"), desk.tab("oscar"), desk.tab("oscar")
    operator.refused.add(f"{desk.url}/providers")  # a page may ask for itself before it hears that
    viewer.open("/letters")
    viewer.button("Pause updates").click()
    deaf.refused.add(f"{desk.url}/live")
    deaf.page.route("**/live", lambda route: route.fulfill(status=503))
    deaf.open("/settings")
    desk.system.revoker("console", "sessions", "end", "--user", "victor", "--reason", "laptop lost", "--yes")
    expect(viewer.page.get_by_role("heading", level=1)).to_have_text("Sign in", timeout=AWAY)
    operator.open("/providers")
    desk.system.publish([desk.system.disabled(sub_id={"format": "email", "email": "oscar@example.com"})])
    expect(operator.page.get_by_role("heading", level=1)).to_have_text("Sign in", timeout=AWAY)
    assert re.search(r"next=(/|%2F)providers$", operator.page.url)
    expect(operator.page.get_by_label("User name")).to_be_visible()
    deaf.page.unroute("**/live")
    expect(deaf.page.get_by_role("heading", level=1)).to_have_text("Sign in", timeout=AWAY)


STORIES = (
    wrong_and_right_passwords,
    an_incident_by_mouse,
    the_same_without_script,
    an_incident_by_keyboard,
    keys_are_listed_and_can_be_switched_off,
    the_focus_stays_while_the_page_is_renewed,
    what_cannot_be_undone_wants_a_reason_and_a_word,
    a_provider_is_held_and_released,
    what_is_large_needs_two,
    a_viewer_is_offered_and_allowed_nothing,
    a_form_on_another_page_changes_nothing,
    a_session_ended_from_outside_ends_in_the_open_tab,
)
