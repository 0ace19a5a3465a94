"""The README, by sections, code blocks and tables."""

import re
from html import unescape
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")


def section(heading: str) -> str:
    """What stands below *heading*, up to the next heading of any level."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", README, re.MULTILINE | re.DOTALL)
    assert match, heading
    return match[1]


def blocks(language: str, text: str = README) -> list[str]:
    """The code blocks of *language* in *text*."""
    return [code for name, code in BLOCK.findall(text) if name == language]


def tables_of(header: str) -> list[list[list[str]]]:
    """The tables whose first column is called *header*: their rows, cell by cell."""
    found = re.findall(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", README, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()] for body in found]


def table(header: str) -> list[list[str]]:
    """The rows of the one table whose first column is called *header*."""
    [rows] = tables_of(header)
    return rows


def names(rows: list[list[str]]) -> list[str]:
    """The names in the first column of *rows*; a cell may hold several."""
    return [unescape(name) for row in rows for name in SPAN.findall(row[0])]
