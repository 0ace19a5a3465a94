"""`revoker dead-letter`: what was given up is found, shown, replayed and discarded, never by accident."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cli_installation import Installation
from ledger_figures import audits
from replay_desk import SEALED, dead_call, dead_unit

from worker.ledger import DeadLetterState
from worker.settings import Settings

pytest_plugins = ["cli_fixtures"]
CONSENT = "--yes"


def states(installation: Installation) -> list[str]:
    """The states of all dead letters."""
    rows = installation.json("dlq", "list", *(f"--state={state.value}" for state in DeadLetterState))
    return sorted(row["state"] for row in rows["items"])


def test_the_list_fits_eighty_columns_and_tells_the_whole_story(installation: Installation) -> None:
    """Id, age, provider, event, masked subject, reason, tries, last; the sum of it on stderr."""
    letter = dead_call(provider="finbourne-with-a-very-long-name1")
    installation.desk.fill(letter, dead_unit(reason="route.unresolvable"))
    result = installation.run("dead-letter", "list")
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["ID", "AGE", "PROVIDER", "EVENT", "SUBJECT", "REASON", "TRIES", "LAST"]
    assert all(len(line) <= 80 for line in (header, *rows))
    assert letter.dead_letter_id[:8] in result.stdout
    assert result.stderr == "2 dead, oldest 0s, 2 causes\n"


def test_json_carries_a_schema_and_times_in_utc(installation: Installation) -> None:
    """For tickets and programs; the sealed credential is nobody's business."""
    installation.desk.fill(dead_call())
    document = installation.json("dlq", "list")
    assert document["schema"] == "revoker.dead_letter_list/1"
    assert document["items"][0]["at"].endswith("Z")
    assert SEALED not in json.dumps(document)


@pytest.mark.parametrize("end", [datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("command", ["list", "show", "replay", "discard"])
def test_an_event_at_an_end_of_the_calendar_blinds_nobody(
    installation: Installation, command: str, end: datetime
) -> None:
    """Nobody proved its time; it is listed, shown, planned and given up as any other."""
    letter = dead_unit(kind="event", provider=None, reason="event.access_denied", occurred_at=end)
    installation.desk.fill(letter)
    which = {"show": [letter.dead_letter_id], "list": []}.get(command, ["--all", "--dry-run"])
    why = ["--reason", "it is nobody's"] if command == "discard" else []
    code = 2 if command == "replay" and end.year == 1 else 0  # it is too old
    result = installation.run("dlq", command, *which, *why, "-o", "json", code=code)
    if command in {"list", "show"}:
        assert f'"occurred_at": "{end.isoformat(timespec="milliseconds")[:23]}' in result.stdout


def test_jsonl_is_a_document_a_line(installation: Installation) -> None:
    """Each with its own schema."""
    installation.desk.fill(dead_call(), dead_call())
    lines = installation.run("dlq", "list", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line)["schema"] for line in lines] == ["revoker.dead_letter/1"] * 2


@pytest.mark.parametrize(
    ("options", "listed", "said"),
    [
        ([], 100, "100 of 101 dead, oldest 0s, 1 cause; more with --limit"),
        (["--limit", "100"], 100, "100 of 101 dead, oldest 0s, 1 cause; more with --limit"),
        (["--limit", "101"], 101, "101 dead, oldest 0s, 1 cause"),
        (["--provider", "nobody"], 0, "nothing matches"),
    ],
)
def test_a_list_has_an_end_and_says_so(installation: Installation, options: list[str], listed: int, said: str) -> None:
    """A hundred of a hundred thousand are shown, in every form; the newest ones."""
    installation.desk.fill(*(dead_call() for _ in range(101)))
    result = installation.run("dlq", "list", *options, "-o", "jsonl")
    assert (len(result.stdout.splitlines()), result.stderr.strip()) == (listed, said)
    document = installation.json("dlq", "list", *options)
    assert (document["count"], document["matching"]) == (listed, 101 if listed else 0)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--provider", "genesys"], ["genesys"]),
        (["--event-type", "session.ended"], ["finbourne"]),
        (["--reason", "http"], ["finbourne"]),
        (["--died-of", "http.4xx"], []),
        (["--older-than", "1h"], []),
        (["--since", "1h"], ["finbourne", "genesys"]),
        (["--until", "2020-01-01T00:00:00Z"], []),
        (["--provider", "genesys", "--reason", "http"], []),
        (["--limit", "1", "--reason", "http.5xx"], ["finbourne"]),
        (["--id", "aaaa", "bbbb"], ["finbourne", "genesys"]),
        (["aaaa", "--provider", "genesys"], []),
    ],
)
def test_filters_hold_together(installation: Installation, options: list[str], found: list[str]) -> None:
    """Each narrows what the others leave."""
    call = dead_call().model_copy(update={"dead_letter_id": "aaaa-1"})
    installation.desk.fill(call, dead_unit(dead_letter_id="bbbb-1", reason="route.unresolvable"))
    items = installation.json("dlq", "list", *options)["items"]
    assert sorted(item["provider"] for item in items) == found


def test_a_person_is_found_by_any_name_in_any_case(installation: Installation) -> None:
    """The ledger knows only a keyed hash, so the command hashes what the operator types."""
    keys = (Settings.load().subjects().lookup("alice@example.com"),)
    installation.desk.fill(dead_call(subject_keys=keys), dead_call())
    assert installation.json("dlq", "list", "--subject", "Alice@Example.com")["matching"] == 1


def test_one_is_shown_by_a_unique_beginning_of_its_id(installation: Installation) -> None:
    """With its attempts, without its credential."""
    letter = dead_call()
    installation.desk.fill(letter)
    shown = installation.json("dlq", "show", letter.dead_letter_id[:8])
    assert shown["dead_letter_id"] == letter.dead_letter_id
    assert [attempt["reason"] for attempt in shown["attempts"]] == ["http.5xx"]
    assert SEALED not in installation.run("dlq", "show", letter.dead_letter_id).output


def test_an_unclear_or_unknown_id_is_refused(installation: Installation) -> None:
    """Exit code 2 for several, 1 for none."""
    installation.desk.fill(*(dead_call() for _ in range(17)))
    first = [row.dead_letter_id[0] for row in installation.desk.ledger.dead_letters()]
    several = next(digit for digit in first if first.count(digit) > 1)
    assert "several dead letters" in installation.run("dlq", "show", several, code=2).stderr
    assert "no dead letter" in installation.run("dlq", "show", "zz", code=1).stderr


@pytest.mark.parametrize("command", [["replay"], ["discard", "--reason", "gone"]])
@pytest.mark.parametrize("form", ["table", "json"])
def test_nothing_changes_without_consent(installation: Installation, command: list[str], form: str) -> None:
    """No terminal to ask on and no --yes: exit code 2; a wish for JSON is no consent."""
    installation.desk.fill(dead_call())
    result = installation.run("dlq", *command, "--all", "-o", form, code=2)
    assert "nothing was changed" in result.stderr
    assert states(installation) == ["dead"]


@pytest.mark.parametrize("command", [["replay"], ["discard", "--reason", "gone"]])
@pytest.mark.parametrize("narrowing", [[], ["--limit", "1"]])
def test_everything_is_changed_only_when_it_is_said(
    installation: Installation, command: list[str], narrowing: list[str]
) -> None:
    """Without ids or filters, --all is needed."""
    installation.desk.fill(dead_call())
    assert "--all" in installation.run("dlq", *command, *narrowing, CONSENT, code=2).stderr
    assert states(installation) == ["dead"]


@pytest.mark.parametrize("command", [["replay"], ["discard", "--reason", "gone"]])
def test_a_dry_run_changes_nothing(installation: Installation, command: list[str]) -> None:
    """It shows the plan: how many, by provider and reason."""
    installation.desk.fill(dead_call(), dead_call())
    result = installation.run("dlq", *command, "--all", "--dry-run", CONSENT)
    assert "finbourne" in result.stdout
    assert "http.5xx" in result.stdout
    assert states(installation) == ["dead", "dead"]
    assert audits(installation.desk.ledger) == []


def test_a_replay_tells_what_it_did_and_under_which_audit_id(installation: Installation) -> None:
    """Plan and result on stdout, the audit id on stderr and in JSON."""
    installation.desk.fill(dead_call(), dead_call())
    done = installation.json("dlq", "replay", "--all", "--reason", "provider is back", CONSENT)
    [entry] = audits(installation.desk.ledger)
    assert (done["schema"], done["replayed"], done["audit_id"]) == ("revoker.replay/1", 2, entry.audit_id)
    assert (entry.scope, entry.reason) == ("--all", "provider is back")
    assert len(installation.desk.replayed()) == 2


def test_a_replay_with_refusals_is_partial(installation: Installation) -> None:
    """Exit code 3: what could be replayed was, the rest says why not."""
    installation.desk.fill(dead_call(), dead_unit(kind="event", body=None))
    result = installation.run("dlq", "replay", "--all", CONSENT, code=3)
    assert "refused: not_stored" in result.stdout


def test_a_replay_of_nothing_but_refusals_is_refused(installation: Installation) -> None:
    """Exit code 2, and the reason is said; by force it goes out."""
    letter = dead_call(occurred_at=datetime.now(UTC) - timedelta(days=3))
    installation.desk.fill(letter)
    assert "too_old" in installation.run("dlq", "replay", letter.dead_letter_id, CONSENT, code=2).stderr
    installation.run("dlq", "replay", letter.dead_letter_id, "--force", CONSENT)
    assert len(installation.desk.replayed()) == 1


def test_a_discard_leaves_a_tombstone_that_a_forced_replay_undoes(installation: Installation) -> None:
    """Nothing an operator does is final."""
    letter = dead_call()
    installation.desk.fill(letter)
    installation.run("dlq", "discard", letter.dead_letter_id[:10], "--reason", "a test user", CONSENT)
    assert installation.json("dlq", "list", "--state", "discarded")["count"] == 1
    assert "discarded" in installation.run("dlq", "replay", letter.dead_letter_id, CONSENT, code=2).stderr
    installation.run("dlq", "replay", letter.dead_letter_id, "--force", CONSENT)
    assert states(installation) == ["replayed"]


def test_a_discard_without_a_reason_is_a_usage_error(installation: Installation) -> None:
    """Somebody will ask."""
    installation.desk.fill(dead_call())
    assert "--reason" in installation.run("dlq", "discard", "--all", CONSENT, code=2).stderr


def test_a_filter_by_reason_is_not_mistaken_for_the_operators_reason(installation: Installation) -> None:
    """`list --reason http.5xx` taken over to `replay` must not replay everything else that matches."""
    installation.desk.fill(dead_call(), dead_unit())
    result = installation.run("dlq", "replay", "--reason", "http.5xx", "--all", CONSENT, code=2)
    assert "--died-of" in result.stderr
    assert states(installation) == ["dead", "dead"]


def test_nothing_that_matches_is_no_failure_unless_asked(installation: Installation) -> None:
    """Exit code 4 with --fail-if-empty, for scripts."""
    assert "nothing matches" in installation.run("dlq", "list").stderr
    for command in (["list"], ["replay", "--all"], ["discard", "--all", "--reason", "x"]):
        installation.run("dlq", *command, "--fail-if-empty", code=4)


def test_a_broker_that_is_away_is_one_line(installation: Installation) -> None:
    """Exit code 69, and every dead letter is still free."""
    installation.desk.fill(dead_call())
    installation.set("broker_url", "amqp://guest:guest@127.0.0.1:9//")
    assert (
        "broker amqp://•••@127.0.0.1:9//: not available"
        in installation.run("dlq", "replay", "--all", CONSENT, code=69).stderr
    )
    assert states(installation) == ["dead"]


def test_a_ledger_that_is_away_is_one_line(installation: Installation) -> None:
    """Exit code 69; no password in it."""
    installation.set("ledger_url", "postgresql+psycopg://revoker:planted-marker-token-0123456789@127.0.0.1:9/x")
    assert "ledger postgresql://127.0.0.1:9/x" in installation.run("dlq", "list", code=69).stderr


def test_what_somebody_wrote_into_the_ledger_is_refused_by_name(installation: Installation) -> None:
    """By no force replayed; put on record, with who came upon it. An older version's events go as claims, if told."""
    forged, older = dead_unit(kind="event", provider=None, mac="0" * 64), dead_unit(kind="event", provider=None)
    installation.desk.ledger.record([forged, older])
    replay = ("dlq", "replay", "--all", "--force", "--reason", "clock mended", CONSENT)
    assert "refused: 1 altered, 1 not_vouched" in installation.run(*replay, "--dry-run", code=2).stderr
    assert audits(installation.desk.ledger) == []
    assert "refused: 1 altered, 1 not_vouched" in installation.run(*replay, code=2).stderr
    [found] = audits(installation.desk.ledger)
    assert (found.action, found.count, found.result) == ("dead-letter.altered", 1, forged.dead_letter_id)
    result = installation.run(*replay, "--unvouched", code=3).stdout
    assert ["replayed", "1"] in [line.split() for line in result.splitlines()]
    [claim] = installation.desk.events()
    assert set(claim.headers) == {"ce-id"}
