"""README.md and docs/ are true: their commands, settings and links exist, their tables are up to date."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from doc_reference import command_rows, metric_rows, option_rows
from doc_tables import floors, pages, renewed, settings_tables
from documents import PAGES, ROOT, SPAN, TEXT, anchors, blocks, links, names, prose, section, table, tables_of
from in_one_test import in_one_test

from tasks.events import RejectionCode
from tasks.outcome import Reason, State, event_reason, http_reason
from worker.cli import main
from worker.cli.exits import Exit
from worker.intake.authorization import Rule
from worker.operations.replay_rules import Refusal
from worker.operations.setup.answers import PASSWORDS
from worker.settings import Settings

pytestmark = pytest.mark.executed


SCHEMA = json.loads((ROOT / "tasks/contracts/event.schema.json").read_text())
_DATA = ("session_ended", "session_started", "user_disabled", "user_enabled", "session")


def test_every_field_of_the_contract_is_told() -> None:
    """The six tables of fields name what the JSON Schema names, and say of the same fields that they are needed."""
    tables = tables_of("field")
    schemas = [
        SCHEMA,
        *(SCHEMA["$defs"][name] for name in _DATA),
    ]
    for rows, schema in zip(tables, schemas, strict=True):
        assert set(names(rows)) == set(schema["properties"])
        assert set(names([row for row in rows if row[1] == "yes"])) == set(schema.get("required", ()))


def commands() -> list[str]:
    """Every `revoker …` of the code blocks and of the text, and those of the Procfile."""
    lines = [line.removeprefix("$ ") for line in "\n".join([*blocks("sh"), *blocks("text")]).splitlines()]
    typed = [command for line in lines for command in re.findall(r"(?:^|\| )(revoker .*)", line)]
    spans = [span for span in SPAN.findall(prose(TEXT)) if span.startswith("revoker ")]
    processes = [line.partition(": exec ")[2] for line in (ROOT / "Procfile").read_text().splitlines()]
    return sorted({*typed, *spans, *processes})


def find(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that *words* name, and its path."""
    command: click.Command = main
    path: list[str] = []
    while isinstance(command, click.Group) and (words or not command.invoke_without_command):
        assert words, "a group is no command"
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, path, words = found, [*path, words[0]], words[1:]
    return command, path


@in_one_test
@pytest.mark.parametrize("line", commands())
def test_every_command_exists_with_its_options(line: str) -> None:
    """The commands that people are told to type exist, with their options and a help."""
    words = shlex.split(line.partition(" < ")[0].partition(" >")[0], comments=True)[1:]
    command, path = find(words)
    assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(
    ("header", "members"),
    [
        ("state", State),
        ("reason", [*Reason, http_reason(400).replace("bad_request", "<name>"), event_reason("<code>")]),
        ("code", RejectionCode),
        ("rule", Rule),
        ("refusal", Refusal),
    ],
)
def test_a_table_lists_exactly_the_members(header: str, members: Iterable[str]) -> None:
    """Every state, dead-letter reason and rejection code has its line, once, and nothing else has."""
    assert sorted(names(table(header))) == sorted(str(each) for each in members)


def test_every_reason_of_a_dead_letter_has_its_runbook() -> None:
    """Once, with what it means, what to do and how to replay: somebody reads it at three in the morning."""
    [page] = re.findall(
        r"^## Dead letters by reason\n(.*?)(?=^## |\Z)", PAGES[ROOT / "docs/runbooks.md"], re.MULTILINE | re.DOTALL
    )
    parts = re.findall(r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", page, re.MULTILINE | re.DOTALL)
    runbooks = {name: text for title, text in parts for name in SPAN.findall(title)}
    reasons = [*Reason, http_reason(400).replace("bad_request", "<name>"), *map(event_reason, RejectionCode)]
    assert sorted(name for title, _ in parts for name in SPAN.findall(title)) == sorted(map(str, reasons))
    wanted = ("* **Means**: ", "* **Do**: ", "* **Replay**: ")
    assert [name for name, text in runbooks.items() if not all(each in text for each in wanted)] == []


def test_the_reference_has_its_tables() -> None:
    """`make docs` fills tables that are there; every command and option stands in one."""
    assert len(table("command")) == len(command_rows())
    assert len(table("of command")) == len(option_rows())
    assert len(table("metric")) == len(metric_rows())


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    """One line for each, in order."""
    assert [int(row[0]) for row in table("exit code")] == [code.value for code in Exit]


def test_the_retry_curve_is_that_of_the_policy() -> None:
    """The ceilings, with the settings' defaults and chance at its worst; the last attempt has no next one."""
    retry = Settings.model_fields["retry"].default
    rows = re.findall(r"^\| (?:after failed|waits at most)[^|]*\|(.*)\|$", TEXT, re.MULTILINE)
    columns, waits = ([cell.strip() for cell in row.split("|")] for row in rows)
    shown = {n: wait for column, wait in zip(columns, waits, strict=True) for n in attempts(column)}
    policys = {n: retry.next_delay(n, remaining=1e9, chance=lambda: 1.0) for n in range(1, retry.max_attempts + 1)}
    assert shown == {n: "given up" if delay is None else str(delay) for n, delay in policys.items()}


def attempts(column: str) -> range:
    """The attempts a column stands for: `9`, or `10 to 19`."""
    first, _, last = column.partition(" to ")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_tables_of_a_page_are_up_to_date(page: Path) -> None:
    """Settings, sums and figures are those of models and results; `make docs` writes them."""
    assert renewed(PAGES[page]) == PAGES[page]


def test_every_setting_stands_in_one_table() -> None:
    """Every model has its table, and every setting its meaning."""
    for header, rows in settings_tables().items():
        assert [name for name, *_ in rows] == [name for name, *_ in table(header)]
        assert [name for name, *_, meaning in rows if not meaning] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository and, where it has an anchor, a heading of that page."""
    found = links(page)
    assert [str(file) for file, _ in found if not (file.exists() and file.is_relative_to(ROOT))] == []
    assert [f"{file}#{anchor}" for file, anchor in found if anchor and anchor not in anchors(file)] == []


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    """People finish it, and find the rest from there."""
    readme = ROOT / "README.md"
    assert len(PAGES[readme].splitlines()) <= 250
    assert {file for file, _ in links(readme)} >= PAGES.keys() - {readme}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.name)
def test_a_page_says_first_for_whom_it_is(page: Path) -> None:
    """The paragraph below its title starts with it."""
    title, _, paragraph = PAGES[page].partition("\n\n")
    assert re.fullmatch(r"# .+", title)
    assert paragraph.startswith("For ")


def test_every_make_target_that_is_named_exists() -> None:
    """Where a page says `make bench`, the Makefile has it."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = re.findall(r"^make ([a-z]+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert {*typed, *re.findall(r"`make ([a-z]+)", prose(TEXT))} <= targets


def test_every_setting_of_an_example_exists() -> None:
    """Each name in a TOML block is that of a setting, or an answer of `revoker init`, which may name a file instead.

    The names of instances and sources are free, those of loggers are checked where they are read.
    """
    known = {name.strip("`") for rows in settings_tables().values() for name, *_ in rows} | {
        "kind",
        "auth.scheme",
        *PASSWORDS,
    }
    free = r"^(providers|sources|doors)\.[^.]+\.|^console\.oidc\.|(?<=^log_levels)\..+|(?<=\.oidc\.roles)\..+"
    free += r"|(?<=\.user\.(json|list))\..+"
    found = {re.sub(free, "", name) for text in blocks("toml") for name in leaves(text)}
    typed = {name.removesuffix(".file") for name in found}
    assert typed
    assert typed <= known


def leaves(text: str) -> Iterator[str]:
    """The dotted name of every value in a TOML document."""
    tables = [("", tomllib.loads(text))]
    for path, members in tables:
        for name, value in members.items():
            if isinstance(value, dict):
                tables.append((f"{path}{name}.", value))
            else:
                yield f"{path}{name}"


def test_every_dotted_name_that_a_page_quotes_is_in_the_code() -> None:
    """Settings, reasons and log events (`provider.held`) are called in the documents as they are in the code."""
    code = "".join(file.read_text() for folder in ("tasks", "worker") for file in (ROOT / folder).rglob("*.py"))
    known = {name.strip("`") for rows in settings_tables().values() for name, *_ in rows}
    known |= {*map(event_reason, RejectionCode), "sign.mjs", "pyproject.toml", "process.py", "process_one.py"}
    known |= {"schema.sql", "job.json", "end_session.go", "amq.topic"}
    known |= {name for layer in floors() for name in SPAN.findall(layer[1])}
    quoted = {span for span in SPAN.findall(prose(TEXT)) if re.fullmatch(r"[a-z_]+\.[a-z_]+", span)}
    assert sorted(span for span in quoted - known if f'"{span}"' not in code) == []


def test_every_path_that_a_page_quotes_exists() -> None:
    """A folder or file of the repository that a page names is there."""
    folders = "tasks|worker|tests|docs|docker|deploy|benchmarks|examples|.ci"
    words = [*SPAN.findall(prose(TEXT)), *" ".join(blocks("sh")).split()]
    quoted = {word for word in words if re.fullmatch(rf"({folders})/[\w./-]*", word)}
    assert sorted(path for path in quoted if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(page: Path) -> None:
    """A bar within a cell would move what follows into another column."""
    tables = re.findall(r"(?:^\|.*\|\n)+", prose(PAGES[page]), re.MULTILINE)
    for lines in map(str.splitlines, tables):
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {lines[0].count("|")}, lines[0]


def test_the_layout_is_that_of_the_repository() -> None:
    """Everything in it exists; no package of tasks or worker is left out, and no module beside worker's packages."""
    folder, listed = ROOT, set[Path]()
    for line in blocks("text", section("Layout of the code"))[0].splitlines():
        names_of_line = line.strip().partition("  ")[0].split()
        parent = folder if line.startswith(" ") else ROOT
        listed |= {parent / name for name in names_of_line}
        folder = parent if line.startswith(" ") else ROOT / names_of_line[0]
    assert [path for path in listed if not path.exists()] == []
    assert {file.parent for name in ("tasks", "worker") for file in (ROOT / name).glob("*/__init__.py")} <= listed
    assert {*(ROOT / "worker").glob("[!_]*.py")} <= listed
