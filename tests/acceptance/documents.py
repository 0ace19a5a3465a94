"""README.md and docs/*.md: their sections, code blocks, tables and links."""

import re
from collections import Counter
from html import unescape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {page: page.read_text() for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
TEXT = "\n".join(PAGES.values())
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def prose(text: str) -> str:
    """*text* without its code blocks."""
    return BLOCK.sub("", text)


def section(heading: str) -> str:
    """The text below *heading*, up to the next heading of any level."""
    [found] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def blocks(language: str, text: str = TEXT) -> list[str]:
    """The code blocks of *language* in *text*."""
    return [code for name, code in BLOCK.findall(text) if name == language]


def tables_of(header: str) -> list[list[list[str]]]:
    """The tables whose first column is called *header*: their rows, cell by cell."""
    found = re.findall(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", TEXT, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()] for body in found]


def table(header: str) -> list[list[str]]:
    """The rows of the one table whose first column is called *header*."""
    [rows] = tables_of(header)
    return rows


def names(rows: list[list[str]]) -> list[str]:
    """The names in the first column of *rows*; a cell may hold several."""
    return [unescape(name) for row in rows for name in SPAN.findall(row[0])]


def links(page: Path) -> list[tuple[Path, str]]:
    """The files that *page* links, each with an anchor or an empty string; links to other hosts are left out."""
    targets = [target.partition("#") for target in LINK.findall(prose(PAGES[page])) if "://" not in target]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in targets]


def anchors(page: Path) -> set[str]:
    """The anchors of *page*, one for each heading, as GitHub makes them (a repeated heading is numbered)."""
    seen = Counter[str]()
    found = set()
    for heading in HEADING.findall(prose(page.read_text())):
        words = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(f"{words}-{seen[words]}" if seen[words] else words)
        seen[words] += 1
    return found
