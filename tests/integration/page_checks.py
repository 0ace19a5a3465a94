"""What is checked of each page: its HTML, what axe finds in both themes, and whether it fits its window."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chromium_desk import WIDE, Tab
from playwright.sync_api import ViewportSize

NODE = Path(__file__).parents[2] / ".venv/bin/node"
MODULES = Path(__file__).parents[1] / "node/node_modules"
AXE = MODULES / "axe-core/axe.min.js"
HTML_VALIDATE = MODULES / "html-validate/bin/html-validate.mjs"
NARROW = ViewportSize(width=390, height=844)
ZOOMED = ViewportSize(width=640, height=450)  # what a window of 1280 has at 200 %
ACTIVE = "\u202e\u2066\u200b\x1b\x07"  # what turns the direction, has no width, or commands a terminal
IS_WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
RUN_AXE = "axe.run(document, {resultTypes: ['violations']})"
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
# Off is what is a matter of taste: our templates leave blanks at the ends of lines, and titles name what they show.
RULES = {"no-trailing-whitespace": "off", "long-title": "off"}


@dataclass
class Checked:
    """The pages that were looked at, and what is wrong with them."""

    faults: list[str] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)

    def look(self, tab: Tab, path: str, status: int = 200) -> None:
        """Open the page at *path*, which has this status, and look at it in each theme and width."""
        self.look_at(tab, path[:60], tab.answer(path, status))

    def look_at(self, tab: Tab, name: str, answer: str) -> None:
        """Look at the page that *tab* shows: what a form leads to, for one."""
        self.pages[name] = answer
        tab.page.evaluate(OPEN_ALL)
        tab.page.evaluate(AXE.read_text())
        for theme, sizes in (("light", (ZOOMED, WIDE)), ("dark", (NARROW,))):
            tab.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type] # one of its literals
            for size in sizes:
                tab.page.set_viewport_size(size)
                if tab.page.evaluate(IS_WIDER):
                    self.faults.append(f"{name}: wider than {size['width']}")
            self.faults += [f"{name} {theme}: {each}" for each in _violations(tab)]
        if active := set(tab.page.locator("body").inner_text()) & set(ACTIVE):
            self.faults.append(f"{name}: shows {active!r}")

    def validate(self, folder: Path) -> None:
        """Have html-validate read every page."""
        names = {}
        for number, (path, text) in enumerate(self.pages.items()):
            (folder / f"{number}.html").write_text(text)
            names[str(folder / f"{number}.html")] = path
        settings = {"root": True, "extends": ["html-validate:standard"], "rules": RULES}
        (folder / ".htmlvalidate.json").write_text(json.dumps(settings))
        command = [str(NODE), str(HTML_VALIDATE), "--formatter", "json", *names]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        self.faults += [
            f"{names[each['filePath']]}:{told['line']} {told['ruleId']}: {told['message']}"
            for each in found
            for told in each["messages"]
        ]


def _violations(tab: Tab) -> list[str]:
    """What axe finds: the rule, and the elements."""
    found = tab.page.evaluate(RUN_AXE)
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]
