"""What commands print: data on stdout as a table or as JSON, messages on stderr, nothing that moves a terminal."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, Literal, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from worker.cli import terminal
from worker.observability.terminal import without_active
from worker.operations.text import plain, rfc3339

Row = TypeVar("Row")
Document = dict[str, Any]

NARROW: Final = 80  # columns, where no terminal says otherwise
WIDE: Final = 10_000
LEAST: Final = 8  # characters a column keeps that is cut
GAP: Final = 2  # characters between two columns


class Form(StrEnum):
    """How data is printed."""

    TABLE = "table"
    WIDE = "wide"  # every column, nothing cut
    JSON = "json"  # one document
    JSONL = "jsonl"  # a document a line

    @property
    def is_json(self) -> bool:
        """Whether a program reads it."""
        return self in (Form.JSON, Form.JSONL)


_FORMS: Final = click.Choice(Form, case_sensitive=False)
output_option = click.option("-o", "--output", "form", type=_FORMS, default=Form.TABLE, help="How to print data.")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column: its title, and the text of a row in it.

    Where the terminal is too narrow, columns of *cut* 1 are cut first, then those of 2, and those of 0 never.
    """

    title: str
    cell: Callable[[Row], object]
    right: bool = False
    cut: int = 0
    wide_only: bool = False


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """How things of one kind are printed. *name* is that of the JSON schema, e.g. `dead_letter`."""

    name: str
    columns: Sequence[Column[Row]]
    document: Callable[[Row], Document]

    def show(self, form: Form, rows: Iterable[Row], **extra: object) -> None:
        """Print *rows*, as JSONL one by one as they come; *extra* are further members of the one JSON document."""
        match form:
            case Form.JSON:
                items = [self.document(row) for row in rows]
                print_json(f"{self.name}_list", {**extra, "count": len(items), "items": items})
            case Form.JSONL:
                for row in rows:
                    print_json(self.name, self.document(row), indent=None)
            case _:
                _print_table(form, self.columns, rows)


def members(thing: object, *names: str) -> Document:
    """The JSON of the attributes *names* of *thing*."""
    return {name: getattr(thing, name) for name in names}


def print_json(name: str, document: Mapping[str, Any], indent: int | None = 2) -> None:
    """Print *document* as JSON of schema `revoker.<name>/1`: times in UTC after RFC 3339."""
    is_ascii = not terminal.has_every_character()
    text = json.dumps({"schema": f"revoker.{name}/1", **document}, ensure_ascii=is_ascii, indent=indent, default=_plain)
    click.echo("\n".join(without_active(line, lambda each: json.dumps(each)[1:-1]) for line in text.split("\n")))


def show_one(form: Form, name: str, document: Document) -> None:
    """Print one thing: as JSON, or its members line by line."""
    if form.is_json:
        print_json(name, document, indent=2 if form is Form.JSON else None)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for title, value in document.items():
        table.add_row(title.replace("_", " "), Text(_cell(value)))
    _print(form, table)


def note(*lines: str) -> None:
    """Print *lines* for people, on stderr."""
    for line in lines:
        click.echo(plain(line), err=True)


@contextmanager
def progress(total: int, doing: str) -> Iterator[Callable[[int], None]]:
    """A bar of *total* steps on stderr, where somebody sits there; what is yielded takes the steps just done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda steps: bar.advance(task, steps)


def _print_table(form: Form, columns: Sequence[Column[Row]], rows: Iterable[Row]) -> None:
    shown = [column for column in columns if form is Form.WIDE or not column.wide_only]
    cells = [[Text(_cell(column.cell(row))) for column in shown] for row in rows]
    texts = ((column.title, *(row[place].plain for row in cells)) for place, column in enumerate(shown))
    natural = [max(cell_len(line) for text in each for line in text.split("\n")) for each in texts]
    cuts = [column.cut for column in shown]
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column, width in zip(shown, fitted(natural, cuts, _console(form).width), strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for line in cells:
        table.add_row(*line)
    _print(form, table)


def fitted(natural: Sequence[int], cuts: Sequence[int], room: int) -> list[int]:
    """The widths of a table: the natural ones, cut in the order of *cuts*, the widest first, until they fit *room*."""
    widths = list(natural)
    while sum(widths) + GAP * (len(widths) - 1) > room:
        bendable = [place for place, cut in enumerate(cuts) if cut and widths[place] > LEAST]
        if not bendable:
            break
        widths[min(bendable, key=lambda place: (cuts[place], -widths[place]))] -= 1
    return widths


def _print(form: Form, table: Table) -> None:
    console = _console(form)
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _console(form: Form) -> Console:
    """Stdout as rich sees it. Without a terminal: 80 columns, no colours; with NO_COLOR set, none either."""
    console = Console(highlight=False, markup=False, emoji=False)
    if form is Form.WIDE:
        console.width = WIDE
    elif not console.is_terminal:
        console.width = NARROW
    return console


def _cell(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case datetime():
            return rfc3339(value.replace(microsecond=0)).replace(".000Z", "Z")
        case bool():
            return "yes" if value else "no"
        case dict():
            return "  ".join(f"{plain(str(name))}={_cell(each)}" for name, each in value.items()) or "-"
        case list() | tuple():
            return "\n".join(_cell(each) for each in value) or "-"
        case _:
            return plain(str(value))


def _plain(value: object) -> object:
    match value:
        case datetime():
            return rfc3339(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)
