"""A console at work, and the tabs of a real browser in which people look at it."""

import re
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, ViewportSize, expect
from sign_in_door import PASSWORD
from system import System

WIDE = ViewportSize(width=1280, height=900)
SEEN = """(() => {
  const has = document.activeElement, style = getComputedStyle(has);
  return has === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
})()"""
FOUR_EYES = {"replay": 5}  # more than the stories have that need one operator
SETTLED = 20_000  # milliseconds until a change has its result: a canary is waited for


@dataclass
class Tab:
    """A tab at the console: what the browser complained about is kept, and must be nothing."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)  # addresses whose answer was meant to be no

    def open(self, path: str, status: int = 200) -> Page:
        """Open the page at *path*, which has this status."""
        self._went(path, status)
        return self.page

    def answer(self, path: str, status: int = 200) -> str:
        """Open it; return its HTML as it came."""
        return self._went(path, status).text()

    def _went(self, path: str, status: int) -> Response:
        if status != 200:
            self.refused.add(f"{self.url}{path}")
        answer = self.page.goto(f"{self.url}{path}")
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"
        return answer

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """Sign in by password, as whoever types it does."""
        self.open("/")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def button(self, name: str) -> Locator:
        """The button whose name begins so."""
        return self.page.get_by_role("button", name=re.compile(f"^{name}"))

    def confirm(self, why: str) -> None:
        """Give a plan its reason, and the word that it asks for; run it, and wait for the result."""
        form = self.page.locator("form.panel")
        if word := re.search(r"Type (.+?):", form.inner_text()):
            form.get_by_label(re.compile("^Type")).fill(word[1])
        form.get_by_label("Why").fill(why)
        form.get_by_role("button").click()
        self.wait_for_result()

    def wait_for_result(self) -> None:
        """Wait until a change has its result."""
        expect(self.page.locator("[aria-current=step]")).to_contain_text("result", timeout=SETTLED)

    def press(self, *keys: str) -> None:
        """Press one key after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, element: Locator) -> None:
        """Go to *element* by the Tab key; wherever the focus comes, it is seen."""
        for _ in range(80):
            if element.evaluate("each => each === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
            assert self.page.evaluate(SEEN), f"the focus is not seen: {self.focused()}"
        pytest.fail(f"the Tab key does not lead to {element}")

    def focused(self) -> str:
        """The element that has the focus."""
        found: str = self.page.evaluate("document.activeElement.outerHTML")
        return found

    def result(self) -> dict[str, str]:
        """What a change came to."""
        sums = self.page.locator("dl.sum > div")
        return dict(each.split("\n")[:2] for each in sums.all_inner_texts())

    def commands(self) -> list[str]:
        """What the page says to type for the same."""
        return self.page.locator("aside.command pre code").all_inner_texts()

    def heard(self, told: ConsoleMessage) -> None:
        """Keep what the browser complains about, but for an answer that was meant to be no."""
        if told.type == "error" and told.location.get("url") not in self.refused:
            self.complaints.append(f"{told.text} ({told.location})")


@dataclass(frozen=True, slots=True)
class DeskAtWork:
    """A whole installation with a console that knows olga, an operator, and victor, a viewer."""

    system: System
    url: str
    chromium: Browser
    tabs: list[Tab]

    def tab(self, name: str | None = "olga", *, script: bool = True, **context: object) -> Tab:
        """A tab of somebody who is signed in; *name* None: of nobody."""
        made = self.chromium.new_context(java_script_enabled=script, viewport=WIDE, **context)  # type: ignore[arg-type]
        tab = Tab(made.new_page(), self.url)
        tab.page.set_default_timeout(15_000)
        tab.page.on("console", tab.heard)
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        self.tabs.append(tab)
        if name:
            tab.sign_in(name)
        return tab

    def close_tabs(self) -> None:
        """Close every tab; none may have complained."""
        tabs, self.tabs[:] = list(self.tabs), []
        for tab in tabs:
            tab.page.context.close()
        complaints = [each for tab in tabs for each in tab.complaints]
        assert not complaints, complaints

    def die(self, count: int) -> str:
        """Have *count* calls at Finbourne be refused for good, until the sandbox heals; return their event's id."""
        tokens = [f"sbx-{len(self.system.journal())}-{number}" for number in range(count)]
        self.system.script({"fault": "status", "status": 403, "provider": "finbourne"})
        [event] = self.system.publish([self.system.ended(*(self.system.session("finbourne", each) for each in tokens))])
        self.system.wait_closed([event])
        self.system.heal()
        return event
