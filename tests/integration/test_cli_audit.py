"""`revoker audit`: who changed what, and whether the record of it is whole; and that each change is on record first."""

from dataclasses import replace

from cli_installation import Installation
from ledger_figures import audits
from ledger_records import entry
from replay_desk import dead_call
from sqlalchemy import insert, text
from tamperings import changed, committed, executed, removed, without_audit, write

from worker.database.tables import audits as earlier
from worker.ledger import BEGUN

pytest_plugins = ["cli_fixtures"]


def test_the_list_fits_eighty_columns(installation: Installation) -> None:
    """The newest first; what is long is cut, and `-o wide` has all of it."""
    ledger = installation.desk.ledger
    write(ledger, 1)
    long = replace(entry("dead-letter.discard"), actor="o" * 90, reason="r\x1b[2J" * 30, result="x" * 90)
    ledger.audit(replace(long, plan="9 at 5/s"))
    listed = installation.run("audit", "list")
    assert listed.stdout.split()[:7] == ["ID", "AGE", "WHO", "ACTION", "COUNT", "REASON", "RESULT"]
    assert all(len(line) <= 80 for line in listed.stdout.splitlines())
    assert "\x1b" not in listed.stdout
    assert [line.split()[3] for line in listed.stdout.splitlines()[1:]] == ["dead-letter.discard", "action.1"]
    assert listed.stderr == "changes: 2\n"
    assert "9 at 5/s" in installation.run("audit", "list", "-o", "wide").stdout
    assert installation.run("audit", "list", "--limit", "1").stderr == "changes: 1; perhaps more with --limit\n"


def test_changes_are_found_by_their_options(installation: Installation) -> None:
    """JSON has every member; what matches nothing says so, and ends with 4 where that is asked for."""
    write(installation.desk.ledger, 1, 2)
    [found] = installation.json("audit", "list", "--action", "action.2", "--actor", "olga")["items"]
    assert (found["reason"], found["result"], found["count"]) == ("provider is back", "result 2", 2)
    assert {*found} == {
        *("audit_id", "at", "actor", "action", "scope", "reason", "plan", "count", "result", "kind", "number")
    }
    assert installation.json("audit", "list", found["audit_id"][:6])["count"] == 1
    empty = installation.run("audit", "list", "--actor", "nobody", "--fail-if-empty", code=4)
    assert (empty.stdout, empty.stderr) == ("", "nothing matches\n")


def test_a_whole_audit_is_verified(installation: Installation) -> None:
    """It prints the head, which proves later that the ledger was not put back."""
    write(installation.desk.ledger, 1, 2)
    verified = installation.json("audit", "verify")
    assert (verified["schema"], verified["ok"], verified["entries"]) == ("revoker.audit_verification/1", True, 2)
    said = installation.run("audit", "verify", "--kept", verified["head"])
    assert said.stderr == "as they were written and in their place: 2\n"
    committed(installation.desk.ledger, removed(2, 2))
    assert "entry 2: missing" in installation.run("audit", "verify", code=1).stderr
    told = installation.run("audit", "verify", "--kept", f"1:{'0' * 64}", code=1).stderr
    assert "entry 1: not the entry whose head was kept" in told


def test_every_fault_has_its_place(installation: Installation) -> None:
    """Twenty are named, the rest is counted."""
    write(installation.desk.ledger, *range(1, 31))
    committed(installation.desk.ledger, executed("UPDATE audit_entries SET reason = 'another' WHERE number > 3"))
    committed(installation.desk.ledger, removed(2, 3))
    said = installation.run("audit", "verify", code=1).stderr.splitlines()
    assert said[:2] == ["entries 2 to 3: missing", "entry 4: changed, or moved from another place"]
    assert (len(said), said[-1]) == (21, "and 8 more")
    told = installation.json("audit", "verify", code=1)
    assert (told["ok"], told["fault_count"], len(told["faults"])) == (False, 28, 20)
    assert told["faults"][0] == {"fault": "missing", "first": 2, "last": 3}


def test_what_stands_outside_the_chain_is_partial(installation: Installation) -> None:
    """Release 0.1.0 on another machine writes there."""
    write(installation.desk.ledger, 1)
    row = {"audit_id": "a", "at": entry().at, "actor": "a", "action": "a", "scope": "", "reason": "", "result": ""}
    committed(
        installation.desk.ledger, lambda db: db.execute(insert(earlier).values(row | {"count": 1, "at": text("0")}))
    )
    assert "outside the chain, where nothing proves them: 1" in installation.run("audit", "verify", code=3).stderr
    assert installation.json("audit", "list")["items"][1]["kind"] == "outside"


def test_an_audit_that_is_empty_says_what_that_may_mean(installation: Installation) -> None:
    """It is no proof that nothing was changed."""
    assert "only --kept tells" in installation.run("audit", "verify").stderr
    assert installation.run("audit", "list").stderr == "nothing matches\n"


def test_what_is_no_head_is_refused(installation: Installation) -> None:
    """Exit code 2; it says what one looks like."""
    assert "64 hex digits" in installation.run("audit", "verify", "--kept", "1:abc", code=2).stderr


def test_a_change_says_by_which_plan_it_was_made(installation: Installation) -> None:
    """What the operator read before they agreed."""
    installation.desk.fill(dead_call(), dead_call())
    installation.run("dlq", "replay", "--all", "--yes", "--canary", "1", "--wait", "0", code=3)
    installation.run("dlq", "discard", "--all", "--force", "--reason", "gone", "--yes", code=2)
    installation.run("dlq", "discard", "--all", "--reason", "gone", "--yes")
    installation.run("provider", "hold", "finbourne", "--for", "1h", "--reason", "broken", "--yes")
    hold, discard, replay = audits(installation.desk.ledger)
    [job] = installation.json("dlq", "jobs", "list")["items"]
    assert replay.plan == f"job {job['job_id']}, plan {job['hash']}"
    assert discard.plan == "1 finbourne http.5xx"
    assert hold.plan.startswith("owner ")
    assert installation.json("audit", "verify")["ok"]


def test_a_replay_does_not_begin_without_a_line_in_the_audit(installation: Installation) -> None:
    """What cannot be accounted for is not done."""
    installation.desk.fill(dead_call())
    with without_audit(installation.desk.ledger):
        installation.run("dlq", "replay", "--all", "--yes", code=69)
    assert [row.state for row in installation.desk.ledger.dead_letters()] == ["dead"]
    assert installation.desk.replayed() == []


def test_queues_schema_and_keys_are_on_record(installation: Installation) -> None:
    """Who made them; each says under which id. No password is among it."""
    declared = installation.run("topology", "declare").stderr
    upgraded = installation.run("ledger", "upgrade").stderr
    made = installation.run("keys", "generate", "--kid", "k1").stderr
    keys, schema, topology = audits(installation.desk.ledger)
    assert (topology.action, topology.count, topology.result) == ("topology.declare", 1, "done")
    assert (schema.action, schema.count, schema.result) == ("ledger.upgrade", 0, "was up to date")
    assert (keys.action, keys.scope, keys.result) == ("keys.generate", "k1", "done")
    assert all(
        f"audit {each.audit_id}" in said for each, said in ((topology, declared), (schema, upgraded), (keys, made))
    )
    assert all("@" in each.actor for each in (keys, schema, topology))


def test_a_key_that_was_not_made_is_on_record_as_failed(installation: Installation) -> None:
    """One has its name already."""
    installation.run("keys", "generate", "--kid", "k1")
    installation.run("keys", "generate", "--kid", "k1", code=1)
    assert [each.result for each in audits(installation.desk.ledger)] == ["failed", "done"]


def test_what_is_made_before_there_is_a_ledger_is_made(installation: Installation) -> None:
    """It says that it is not in the audit. The first line there is that of the schema."""
    installation.set("ledger_url", f"sqlite:///{installation.home / 'later.sqlite3'}")
    for command in (("topology", "declare"), ("keys", "generate")):
        assert "not in the audit: ledger" in installation.run(*command).stderr
    installation.run("ledger", "upgrade")
    [found] = installation.json("audit", "list")["items"]
    assert (found["action"], found["result"], found["count"]) == ("ledger.upgrade", "was at none", 1)


def test_a_change_whose_end_is_not_on_record_is_seen(installation: Installation) -> None:
    """Whoever made it was killed, or is at it."""
    installation.desk.ledger.audit(replace(entry("dead-letter.replay"), result=BEGUN))
    assert "begun" in installation.run("audit", "list").stdout


def test_a_changed_entry_is_listed_as_it_stands(installation: Installation) -> None:
    """The list verifies nothing; it shows what is no text as well."""
    write(installation.desk.ledger, 1)
    committed(installation.desk.ledger, changed(1, "actor", text("CAST(x'ff1b' AS TEXT)")))
    assert installation.json("audit", "list")["items"][0]["actor"] == "\\xff\x1b"
    assert "\x1b" not in installation.run("audit", "list").stdout
    assert "entry 1: changed" in installation.run("audit", "verify", code=1).stderr
