"""What a message for the ledger may hold, to the last character and the last second."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.bounds import Count, Detail, Integer64, Measure, Moment, Name, SourceName, SubjectKey, Words

EDGES: list[tuple[Any, Any, Any]] = [  # what, the last that is taken, the first that is not
    (Name, "x" * 128, "x" * 129),
    (SourceName, "x" * 512, "x" * 513),
    (SubjectKey, "x" * 64, "x" * 65),
    (SubjectKey, "", "\u00e9"),
    (Words, "\u00e9" * 2048, "\u00e9" * 2049),
    (Words, "\ud7ff", "\ud800"),
    (Count, 0, -1),
    (Count, 99_999_999, 100_000_000),
    (Integer64, 2**63 - 1, 2**63),
    (Integer64, -(2**63), -(2**63) - 1),
    (Measure, 1.7e308, float("inf")),
    (Measure, 0.0, float("nan")),
    (Detail, dict.fromkeys(map(str, range(64)), ""), dict.fromkeys(map(str, range(65)), "")),
    (Detail, {"x" * 128: "x" * 2048}, {"x" * 129: ""}),
    (Moment, "0001-01-01T14:00:00+14:00", "0001-01-01T13:59:59+14:00"),
    (Moment, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-00:01"),
]


@pytest.mark.parametrize(("kind", "last", "beyond"), EDGES)
def test_a_bound_is_where_it_says(kind: Any, last: Any, beyond: Any) -> None:
    """One more is refused, and nothing that is within is."""
    known: TypeAdapter[Any] = TypeAdapter(kind)
    known.validate_python(last)
    with pytest.raises(ValidationError):
        known.validate_python(beyond)


def test_a_moment_is_kept_in_utc() -> None:
    """Whatever zone it was written in: what the database gets has a form there."""
    known: TypeAdapter[datetime] = TypeAdapter(Moment)
    assert known.validate_python("0001-01-01T14:00:00+14:00") == datetime(1, 1, 1, tzinfo=UTC)
    assert known.validate_python("9999-12-31T23:59:59Z").tzinfo is UTC
