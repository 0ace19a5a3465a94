"""`revoker exposure`: the table, the JSON, and the sentence below."""

from datetime import UTC, datetime, timedelta

import pytest
from cli_installation import Installation
from replay_desk import dead_call, told

from tasks.outcome import State

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
def some(installation: Installation) -> Installation:
    """A call that was settled a minute after its event, and one that is dead since as long."""
    letter = dead_call(provider="a-provider-with-a-long-name")
    installation.desk.fill(letter, dead_call(event_type="user.disabled"))
    installation.desk.ledger.record([told(letter, State.ACCEPTED)])
    return installation


def test_the_table_fits_eighty_columns_and_tells_now_and_each_period(some: Installation) -> None:
    """A line for each provider, type and period; the objective and what burns are said beside it."""
    result = some.run("exposure")
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["PROVIDER", "EVENT", "OVER", "CALLS", "P50", "P95", "P99", "LONGEST", "BURN"]
    assert max(map(len, (header, *rows))) <= 80
    assert [row.split()[2] for row in rows] == ["now", "hour", "day", "week"] * 2
    assert rows[1].split()[3:] == ["1", "1m15s", "1m15s", "1m15s", "1m15s", "100.0"]
    assert rows[5].split()[3:] == ["0", "-", "-", "-", "-", "100.0"]
    exposed, objective = result.stderr.splitlines()
    assert exposed == "1 exposed, the oldest for 1m"
    assert objective == "99 % are to be settled within 1m00s; the budget burns: hour 100.0, day 100.0, week 100.0"


def test_what_is_asked_as_json_tells_all_of_it(some: Installation) -> None:
    """By provider, type and period, and all together; seconds are bounds."""
    document = some.json("exposure")
    assert document["schema"] == "revoker.exposure_list/1"
    assert document["slo"] == {"within_seconds": 60.0, "objective": 0.99}
    now, hour, *_ = document["items"][4:]
    assert (now["provider"], now["event_type"], now["period"]) == ("finbourne", "user.disabled", "now")
    assert (now["calls"], now["late"], now["p50_seconds"], now["burn"]) == (1, 1, 75.0, None)
    assert datetime.fromisoformat(now["oldest_at"]) < datetime.now(UTC) - timedelta(minutes=1)
    assert (hour["calls"], hour["overdue"], hour["p50_seconds"], hour["oldest_at"]) == (0, 1, None, None)
    assert [(each["period"], each["calls"], each["overdue"]) for each in document["overall"]] == [
        ("now", 1, 0),
        ("hour", 1, 1),
        ("day", 1, 1),
        ("week", 1, 1),
    ]


def test_the_objective_is_a_setting(some: Installation) -> None:
    """Judged by it is the past as well; what nobody counts is refused."""
    some.set("exposure__within", "300")
    some.set("exposure__objective", "0.999")
    result = some.run("exposure")
    assert result.stderr.splitlines()[1].startswith(
        "99.9 % are to be settled within 5m00s; the budget burns: hour 0.0,"
    )
    some.set("exposure__within", "90")
    assert "exposure.within: must be one of 0.1, 0.25," in some.run("exposure", code=2).output


def test_where_nothing_happened_there_is_no_table(installation: Installation) -> None:
    """And no burn that is known."""
    result = installation.run("exposure")
    assert (result.stdout, result.stderr.splitlines()[0]) == ("", "0 exposed")
    assert result.stderr.splitlines()[1].endswith("the budget burns: hour -, day -, week -")
    assert installation.json("exposure")["items"] == []
