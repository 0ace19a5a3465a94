"""What a producer wrote never acts on an operator's terminal, nor passes there for something else."""

import io
import json
import sys
import unicodedata
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from worker.cli import terminal
from worker.cli.consent import require_consent
from worker.cli.exits import CommandError
from worker.cli.output import print_json
from worker.operations.text import plain

HARMFUL = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
NAMED = {
    "escape": "\x1b",
    "line feed": "\n",
    "C1": "\x9b",
    "RLM": "\u200f",
    "ALM": "\u061c",
    "ZWSP": "\u200b",
    "BOM": "\ufeff",
    "word joiner": "\u2060",
    "soft hyphen": "\xad",
    "override": "\u202e",
    "isolate": "\u2066",
    "line separator": "\u2028",
    "tag": "\U000e0041",
    "private": "\ue000",
    "half": "\ud800",
}


@pytest.mark.parametrize("character", NAMED.values(), ids=NAMED)
def test_a_character_that_acts_or_hides_is_replaced(character: str) -> None:
    """In tables by a mark, in JSON by its escape."""
    assert plain(f"a{character}b") == "a\ufffdb"


@given(st.text(st.characters(categories=["Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Lu", "Lo", "Mn", "Nd", "Zs", "So"])))
def test_no_text_holds_a_character_of_a_harmful_category(text: str) -> None:
    """All others are as they were: names of people are written in every script."""
    shown = plain(text)
    assert not [each for each in shown if unicodedata.category(each) in HARMFUL]
    expected = ["\ufffd" if unicodedata.category(each) in HARMFUL else each for each in text]
    assert shown == "".join(expected)


@pytest.mark.parametrize("character", NAMED.values(), ids=NAMED)
def test_json_is_the_same_data_without_a_character_that_acts(
    capsys: pytest.CaptureFixture[str], character: str
) -> None:
    """A program reads what was meant."""
    print_json("thing", {"name": f"a{character}b"}, indent=None)
    [line, rest] = capsys.readouterr().out.split("\n")
    assert rest == ""
    assert not [each for each in line if unicodedata.category(each) in HARMFUL]
    assert json.loads(line)["name"] == f"a{character}b"


@pytest.mark.parametrize("coding", ["latin-1", "cp1252", "ascii", "koi8-r"])
def test_json_is_ascii_where_not_all_can_be_written(monkeypatch: pytest.MonkeyPatch, coding: str) -> None:
    """A stand-in would be other data."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=coding))
    print_json("thing", {"name": "Łukasz → 🙂"}, indent=None)
    sys.stdout.flush()
    assert json.loads(written.getvalue().decode("ascii"))["name"] == "Łukasz → 🙂"


@pytest.mark.parametrize(
    ("coding", "shown"),
    [("ascii", b"*** > . ? ?"), ("latin-1", b"*** > . \xfc ?"), ("cp1252", "••• > … ü ?".encode("cp1252"))],
)
def test_a_coding_without_a_character_gets_a_stand_in(
    monkeypatch: pytest.MonkeyPatch, coding: str, shown: bytes
) -> None:
    """One for each, in ASCII, so that tables stay straight."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=coding))
    terminal.prepare()
    sys.stdout.write("••• → … ü Ł")
    sys.stdout.flush()
    assert written.getvalue() == shown


def test_an_error_message_does_not_act_on_the_terminal_either() -> None:
    """It may name a file, or hold what a server said."""
    assert CommandError("a\x1b[2Jb\u202ec\nd").format_message() == "a\ufffd[2Jb\ufffdc\nd"


def test_a_question_does_not_act_on_the_terminal_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may hold the name of a source, which is the source's own word."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: "y\n"))
    require_consent("Release urn:\u202ea\x1b[2J?", yes=False)
    assert not [each for each in capsys.readouterr().err if each in "\u202e\x1b"]


def test_the_runner_of_tests_keeps_its_output() -> None:
    """A stdout without a descriptor is left in its place."""
    with CliRunner().isolation() as streams:
        terminal.prepare()
        sys.stdout.write("→")
        sys.stdout.flush()
        assert streams[0].getvalue() == "→".encode()
