"""Whether a page is HTML as it should be: well nested, each id once, nothing that a reader or a policy trips over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
CONTROLS = {"a", "button", "details", "input", "select", "textarea"}
FIELDS = {"input", "select", "textarea"}
NAMING = ("aria-labelledby", "aria-describedby", "for")  # attributes that name an id


@dataclass
class Element:
    """An element with its attributes, what it holds, and what it stands in."""

    tag: str
    attributes: Mapping[str, str]
    parent: Element | None = None
    children: list[Element] = field(default_factory=list)
    text: str = ""  # with that of what it holds

    def all(self, *tags: str, **attributes: str) -> list[Element]:
        """Everything inside it of one of *tags*, with these attributes."""
        return [
            each
            for each in self._inside()
            if (not tags or each.tag in tags)
            and all(each.attributes.get(name.rstrip("_")) == value for name, value in attributes.items())
        ]

    def one(self, *tags: str, **attributes: str) -> Element:
        """The only such element."""
        [found] = self.all(*tags, **attributes)
        return found

    def fields(self) -> list[tuple[str, str]]:
        """What a form sends as it stands, its buttons left out."""
        inputs = [each for each in self.all("input") if each.attributes.get("type") not in {"checkbox", "radio"}]
        return [(each.attributes["name"], each.attributes.get("value", "")) for each in inputs]

    def ancestors(self) -> Iterator[Element]:
        """What it stands in, the nearest first."""
        at = self.parent
        while at is not None:
            yield at
            at = at.parent

    def _inside(self) -> Iterator[Element]:
        for each in self.children:
            yield each
            yield from each._inside()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.top = Element("", {})
        self.at = self.top
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if twice := [name for name, number in Counter(name for name, _ in attrs).items() if number > 1]:
            self.faults.append(f"<{tag}> has {twice} twice")
        element = Element(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        if self.at.tag != tag or self.at.parent is None:
            self.faults.append(f"</{tag}> closes <{self.at.tag}>, line {self.getpos()[0]}")
            return
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        for each in (self.at, *self.at.ancestors()):
            each.text += data


def read(text: str) -> Element:
    """The page of *text*; an AssertionError names everything that is wrong with it."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    faults = [
        *reader.faults,
        *(["not everything is closed"] if reader.at is not reader.top else []),
        *_faults(reader.top),
    ]
    assert not faults, faults
    return reader.top


def _faults(page: Element) -> Iterator[str]:
    ids = Counter(each.attributes["id"] for each in page.all() if "id" in each.attributes)
    yield from (f"id {name} stands {number} times" for name, number in ids.items() if number > 1)
    if len(page.all("h1")) != 1 or len(page.all("main")) != 1 or page.one("html").attributes.get("lang") != "en":
        yield "a page has one h1, one main and a language"
    for each in page.all():
        yield from _of_element(each, set(ids), page)


def _of_element(each: Element, ids: set[str], page: Element) -> Iterator[str]:
    if each.attributes.keys() & {"style"} or any(name.startswith("on") for name in each.attributes):
        yield f"<{each.tag}> has a style or a script of its own"
    for name in NAMING:
        yield from (f"{name}={one}: no such id" for one in each.attributes.get(name, "").split() if one not in ids)
    if each.tag == "table" and (not each.all("caption") or not each.all("thead")):
        yield "a table has a caption and a head"
    if each.tag == "th" and each.attributes.get("scope") not in {"row", "col"}:
        yield "a th has a scope"
    if each.tag in FIELDS and each.attributes.get("type") != "hidden" and not _is_named(each, page):
        yield f"field {each.attributes.get('name')} has no name for its reader"
    if each.tag in {"form", "table", "div", "p", "ul", "ol", "dl"} and any(up.tag == "p" for up in each.ancestors()):
        yield f"<{each.tag}> stands in a <p>"
    if each.tag == "form" and any(up.tag == "form" for up in each.ancestors()):
        yield "a form stands in a form"
    if each.tag in CONTROLS and any(up.tag in {"a", "button"} for up in each.ancestors()):
        yield f"<{each.tag}> stands in a link or a button"
    if each.tag in {"button", "a", "summary"} and not (each.text.strip() or each.attributes.get("aria-label")):
        yield f"<{each.tag}> says nothing"


def _is_named(each: Element, page: Element) -> bool:
    in_label = any(up.tag == "label" for up in each.ancestors())
    labelled = {label.attributes.get("for") for label in page.all("label")}
    return in_label or "aria-label" in each.attributes or each.attributes.get("id") in labelled
