"""The parts of the console that need no server: names in addresses, filters, commands, the picture, vendored files."""

import hashlib
import math
import shlex
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from aiohttp import web
from in_one_test import in_one_test
from multidict import MultiDict

from worker.console.commands import command
from worker.console.filters import LetterFilter
from worker.console.forms import count, local
from worker.console.names import Names
from worker.console.plot import BOTTOM, HEIGHT, LABEL, TOP, Reading, picture

NAMES = Names(b"subject-key-of-a-test-installation")
VENDORED = {  # as npm gave them: htmx.org 4.0.1, dist/htmx.min.js and dist/ext/hx-csp.min.js
    "htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "hx-csp-4.0.1.min.js": "a7e1e6711ae6c3e50ad300fba7936cbe8d07599cdae313414a179ddd6b26e143",
}


@in_one_test
@pytest.mark.parametrize("name", ["a", "ada@example.com", "\u202e ä 漢", "x" * 8192])
def test_a_name_in_an_address_is_sealed_and_the_same_each_time(name: str) -> None:
    """Whoever reads the address learns nothing but its length."""
    sealed = NAMES.sealed(name)
    assert sealed == NAMES.sealed(name)
    assert NAMES.opened(sealed) == name
    assert name not in sealed or len(name) == 1
    assert Names(b"another key").opened(sealed) is None


@in_one_test
@pytest.mark.parametrize("text", ["", "=", "forged", "a" * 22, "ä", NAMES.sealed("ada")[:-2]])
def test_what_was_never_sealed_opens_to_nothing(text: str) -> None:
    """It raises nothing either."""
    assert NAMES.opened(text) is None


def test_a_filter_is_the_same_in_address_form_and_command() -> None:
    """What the address says is what the command line does, quoted as a shell takes it."""
    typed = MultiDict({"reason": "http.5xx", "provider": "genesys", "subject": "o'neil@example.com", "since": "6h"})
    where = LetterFilter.read(typed, NAMES)
    again = LetterFilter.read(MultiDict(where.pairs(NAMES)), NAMES)
    assert again == where
    told = shlex.split(command("dlq", "list", *where.words(changing=False)))
    assert told[told.index("--subject") + 1] == "o'neil@example.com"
    assert told[:4] == ["revoker", "dlq", "list", "--provider"]


def test_a_change_of_everything_says_so() -> None:
    """As on the command line, where nothing given changes nothing."""
    assert LetterFilter.read(MultiDict(), NAMES).words(changing=True) == ["--all"]


@in_one_test
@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil", "javascript:1", "/a\nb", ""])
def test_nobody_is_led_away(path: str) -> None:
    """Where an operator goes back to is a page of this console."""
    assert local(path, "/letters") == "/letters"
    assert local("/letters?cause=1", "/") == "/letters?cause=1"


@in_one_test
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "²", "1e3", "9999999999"])
def test_a_count_is_a_whole_number(value: str) -> None:
    """Or nothing."""
    assert count("") is None
    with pytest.raises(ValueError, match="whole number"):
        count(value)


@in_one_test
@pytest.mark.parametrize(
    ("name", "value"), [("since", "soon"), ("state", "alive"), ("event_type", "x"), ("person", "x")]
)
def test_a_filter_that_cannot_be_read_names_its_field(name: str, value: str) -> None:
    """And never takes it for no filter at all."""
    with pytest.raises(web.HTTPBadRequest) as refused:
        LetterFilter.read(MultiDict({name: value}), NAMES)
    assert (refused.value.text or "").startswith(f"{name}:")


def test_a_picture_has_every_reading_and_its_gaps() -> None:
    """Nothing is drawn where nothing was settled; the objective and every value are within the picture."""
    begin = datetime(2026, 11, 27, tzinfo=UTC)
    values = [0.05, 2.0, None, 7200.0]
    readings = [
        Reading(begin + timedelta(minutes=5 * number), 0 if value is None else 9, value, value, value)
        for number, value in enumerate(values)
    ]
    drawn = picture(readings, within=60.0)
    for curve in drawn.curves:
        heights = [float(step.split()[1]) for step in curve.path.replace("L", "M").split("M") if step.strip()]
        assert curve.path.count("M") == 2
        assert all(TOP <= height <= BOTTOM for height in heights)
    assert drawn.within is not None
    assert TOP < drawn.within < BOTTOM
    assert math.isclose(drawn.seconds[0].place, BOTTOM)
    assert "7200 s" in drawn.summary
    assert picture([]).curves[0].path == ""


@pytest.mark.parametrize("seconds", [0.01, 1.0, 59.9, 60.0, 9000.0])
def test_the_names_of_curves_that_end_together_stand_one_above_the_other(seconds: float) -> None:
    """All three are read, at the top of the picture and at its bottom as well."""
    curves = picture([Reading(datetime.now(UTC), 1, *[seconds] * 3)]).curves
    [p50, p95, p99] = [each.end.place for each in curves if each.end]
    assert TOP <= p99 <= p95 - LABEL
    assert p95 <= p50 - LABEL <= HEIGHT - 2 * LABEL


def test_what_is_vendored_is_what_was_published() -> None:
    """Byte by byte."""
    folder = files("worker.console").joinpath("static")
    for name, digest in VENDORED.items():
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest


def test_own_pages_and_scripts_need_nothing_unsafe() -> None:
    """No template has a style or a script of its own, and ours compiles nothing."""
    folder = files("worker.console")
    script = folder.joinpath("static").joinpath("console.js").read_text()
    assert not [word for word in ("eval", "Function(", "innerHTML", "document.write") if word in script]
