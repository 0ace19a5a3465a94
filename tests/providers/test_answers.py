"""What an answer means: tables without a gap, waits without a crash, details without a secret."""

from datetime import UTC, datetime
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import client_exceptions
from hypothesis import given, settings
from hypothesis import strategies as st
from in_one_test import in_one_test
from multidict import CIMultiDict
from pydantic import SecretStr

from tasks.outcome import CredentialFault, Permanent, Reason, Settled, Transient
from tasks.providers.answers import Answer, StatusMeaning, status_table
from tasks.providers.finbourne.provider import TOKENS
from tasks.providers.genesys.outcomes import OWN_TOKEN, WORKER_TOKEN
from tasks.providers.headers import wait_asked
from tasks.providers.http import failure_reason
from tasks.providers.wibmo.provider import INVALIDATE

TABLES = {"usual": status_table(), "own": OWN_TOKEN, "worker": WORKER_TOKEN, "finbourne": TOKENS, "wibmo": INVALIDATE}
SUCCESSES = {"usual": range(200, 300), "own": {200, 204}, "worker": {200, 204}, "finbourne": {204}, "wibmo": {200}}
TELLABLE = "abcXYZ019._:/-"
NETWORK_ERRORS = [
    kind
    for kind in vars(client_exceptions).values()
    if isinstance(kind, type) and issubclass(kind, aiohttp.ClientError)
]


@pytest.mark.parametrize("table", TABLES)
def test_every_status_has_an_outcome(table: str) -> None:
    """No answer of a provider is left without a meaning, and success is what the vendor documents."""
    verdicts = TABLES[table]
    assert set(verdicts) == set(range(100, 600))
    assert {status for status, verdict in verdicts.items() if verdict is StatusMeaning.ACCEPTED} == set(
        SUCCESSES[table]
    )
    outcomes = [Answer(status, {}, b"").outcome(verdict, {}) for status, verdict in verdicts.items()]
    kinds = (Settled, Transient, Permanent, CredentialFault)
    assert [outcome for outcome in outcomes if not isinstance(outcome, kinds)] == []


@in_one_test
@pytest.mark.parametrize("kind", [*NETWORK_ERRORS, OSError, TimeoutError, ConnectionResetError])
def test_every_network_failure_has_a_reason(kind: type[Exception]) -> None:
    """No exception of the HTTP library reaches the task."""
    assert isinstance(failure_reason(kind.__new__(kind)), Reason)


@given(st.text(), st.text(), st.sampled_from([429, 503]))
def test_any_retry_after_is_a_number_of_seconds_or_nothing(asked: str, reset: str, status: int) -> None:
    """Two vendors' own libraries crash on a malformed one."""
    seconds = wait_asked(status, CIMultiDict({"Retry-After": asked, "inin-ratelimit-reset": reset, "Date": reset}))
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Retry-After", "5"), ("Retry-After", "120")], 120),
        ([("Retry-After", "120"), ("retry-after", "5")], 120),
        ([("Retry-After", "soon"), ("Retry-After", "5")], 5),
        ([("Retry-After", "5, 120"), ("Retry-After", "7")], 120),
        ([("Retry-After", "120,\t5.5")], 120),
        ([("Retry-After", "0"), ("inin-ratelimit-reset", "61")], 61),
        ([("Retry-After", "90"), ("inin-ratelimit-reset", "61")], 90),
        ([("inin-ratelimit-reset", "7"), ("inin-ratelimit-reset", "9")], 9),
    ],
)
def test_who_asks_more_than_once_means_the_longest(headers: list[tuple[str, str]], seconds: float) -> None:
    """A gateway adds its own header to the vendor's: the later of the two moments is the floor."""
    assert wait_asked(429, CIMultiDict(headers)) == seconds


def test_the_rate_limit_header_says_something_of_a_rate_limit_only() -> None:
    """Genesys Cloud sends it with every answer; a 503 does not mean the end of the minute."""
    reset = CIMultiDict({"inin-ratelimit-reset": "7"})
    both = CIMultiDict({"inin-ratelimit-reset": "7", "Retry-After": "3"})
    others = [status for status in range(100, 600) if status != 429]
    assert {wait_asked(status, reset) for status in others} == {None}
    assert {wait_asked(status, both) for status in others} == {3}
    assert wait_asked(429, reset) == wait_asked(429, both) == 7


@given(st.integers(0, 9_999_999_999), st.integers(0, 999_999))
def test_seconds_and_decimals_are_read_as_they_are(whole: int, fraction: int) -> None:
    """RFC 9110 has whole seconds; servers send decimals."""
    assert wait_asked(503, CIMultiDict({"retry-after": f"{whole}"})) == whole
    assert wait_asked(503, CIMultiDict({"Retry-After": f" {whole}.{fraction} "})) == float(f"{whole}.{fraction}")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(-86_400, 86_400))  # noqa: DTZ001 - given a zone below
def test_a_date_is_reckoned_from_the_answers_own_clock(sent: datetime, seconds: int) -> None:
    """However wrong our clock is, we are never early."""
    start = sent.replace(microsecond=0, tzinfo=UTC)
    until = datetime.fromtimestamp(start.timestamp() + seconds, UTC)
    headers = CIMultiDict(
        {"Date": format_datetime(start, usegmt=True), "Retry-After": format_datetime(until, usegmt=True)}
    )
    assert wait_asked(429, headers, clock=lambda: 0.0) == max(0, seconds)
    del headers["Date"]
    assert wait_asked(429, headers, clock=start.timestamp) == max(0, seconds)


@pytest.mark.parametrize(
    "asked", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_of_a_date_are_understood(asked: str) -> None:
    """RFC 9110 section 5.6.7."""
    assert wait_asked(503, CIMultiDict({"Retry-After": asked}), clock=lambda: 784_111_770.0) == 7


@pytest.mark.parametrize(
    "asked",
    ["inf", "nan", "1e9", "-1", "5, soon", "-1, 5", "+1", "0x10", "1,5", "٣", "9" * 400, "12 s", "", "0\x1f", "\x1c7"],
)
def test_what_is_no_plain_number_is_ignored(asked: str) -> None:
    """Garbage is as good as absent."""
    assert wait_asked(503, CIMultiDict({"Retry-After": asked})) is None


@settings(deadline=None)  # what counts is what is told, on however busy a machine
@given(st.text(TELLABLE, min_size=8), st.data())
def test_a_detail_never_shows_eight_characters_of_a_secret(secret: str, data: st.DataObject) -> None:
    """Not the whole, not a part, not in company."""
    start = data.draw(st.integers(0, len(secret) - 8))
    before, after = (data.draw(st.text(TELLABLE, max_size=9)) for _ in range(2))
    answer = Answer(400, {}, b"", (SecretStr(secret),))
    assert answer.detail({"code": before + secret[start : start + 8] + after}) == {"status": "400"}


@pytest.mark.parametrize("value", ["two words", "a\nb", "", "é", "x" * 257, None, True, 1.5, ["a"], {"a": 1}, "pin"])
def test_only_short_plain_names_are_told(value: object) -> None:
    """Free text may hold anything, a person's name among it; a short secret must not stand in it either."""
    assert Answer(400, {}, b"", (SecretStr("pin"),)).detail({"code": value}) == {"status": "400"}


def test_a_long_name_is_cut() -> None:
    """64 characters are enough to search for."""
    assert Answer(400, {}, b"").detail({"code": "x" * 100})["code"] == "x" * 64


def test_a_link_is_told_whole() -> None:
    """A link to the vendor's log finds it only whole; beyond 256 characters it is not told at all."""
    link = f"https://example.lusid.com/{'x' * 230}"
    assert Answer(400, {}, b"").detail({"instance": link})["instance"] == link
    assert Answer(400, {}, b"").detail({"instance": f"{link}x"}) == {"status": "400"}


@pytest.mark.parametrize("table", TABLES)
def test_a_413_that_says_when_to_come_again_is_tried_again(table: str) -> None:
    """RFC 9110 section 15.5.14; without it there is nothing to wait for."""
    refused = Answer(413, {"Retry-After": "3"}, b"").outcome(TABLES[table][413], {})
    assert refused == Transient("http.4xx.content_too_large", 3.0, {"status": "413"})
    assert isinstance(Answer(413, {}, b"").outcome(TABLES[table][413], {}), Permanent)


def test_an_answer_shows_its_status_only() -> None:
    """What came back may hold anything."""
    assert repr(Answer(401, {"a": "b"}, b"body", (SecretStr("s"),))) == "Answer(status=401)"
