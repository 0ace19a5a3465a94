"""Every block of commands in README.md and docs/ is run: here, or by a test that is named here.

Where that is not possible (no engine of containers is at hand), the test compares each name in it with the files.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from documents import BLOCK, PAGES, ROOT, blocks, section
from servers import Processes, wait_until
from system import System
from typed import lines_of, parsed, typed

from tasks.outcome import Reason
from tasks.sealing import generate_key, save_key
from worker.ledger import DeadLetterRow, DeadLetterState
from worker.operations.floods import id_of, standing
from worker.settings import Settings
from worker.settings.files import CONFIG_FILE, SECRETS_DIR

ADA = "ada.byron@example.com"
FORBIDDEN = Reason.AUTH_FORBIDDEN.value
ETC = "/etc/revoker"
PROVIDERS = ("Genesys Cloud", "Finbourne (LUSID)", "Wibmo")
STORY = "test_what_operators_type_answers"
FIRST_STEPS = "test_the_commands_that_are_printed_lead_to_the_first_event_and_the_first_replay"
RESTORED = "test_what_was_backed_up_and_restored_explains_as_before_and_nothing_is_lost"
SET_UP = "test_a_provider_is_set_up_as_its_page_says"

# Page and heading of each block, and the test that runs it, or that compares what it names with what there is.
RUN_BY = {
    ("README.md", "The two commands"): "test_a_run_settles_every_sample_and_loses_none",
    ("README.md", "A first event"): "test_beside_one_run_that_stays",
    ("README.md", "Point it at a real RabbitMQ and a real provider"): FIRST_STEPS,
    ("backup.md", "Back up"): RESTORED,
    ("backup.md", "Restore"): RESTORED,
    ("console.md", "Signing in"): "test_a_disabled_operator_is_out_of_the_console_within_five_seconds",
    ("contributing.md", "One test"): "test_every_path_that_a_page_quotes_exists",
    ("doctor.md", "The doctor"): STORY,
    ("doors.md", "A first door"): "test_a_command_goes_its_whole_way_through_outage_and_kill",
    ("doors.md", "`ldap`"): "test_whom_slapd_locks_or_deletes_is_out_everywhere_and_nobody_else",
    ("doors.md", "Streams"): "test_a_stream_is_made_verified_paused_and_deleted",
    **{("how-to-providers.md", heading): SET_UP for heading in PROVIDERS},
    ("how-to-providers.md", "The first revocation"): STORY,
    ("operators.md", "At three in the morning"): STORY,
    ("operators.md", "Floods"): STORY,
    ("operators.md", "The audit"): STORY,
    ("operators.md", "What is kept"): STORY,
    ("performance.md", "Beside others"): "test_two_runs_are_compared_by_their_ratios",
    ("producers.md", "In Java and Go"): "test_a_producer_in_another_language_kills_a_token",
    ("providers-http.md", "A provider that runs here"): "test_a_newcomer_adds_a_provider_by_its_page",
    ("running.md", "Docker"): "test_what_is_typed_names_what_the_files_have",
    ("running.md", "Kubernetes"): "test_what_is_typed_names_what_the_files_have",
    ("running.md", "Metrics and health"): STORY,
    ("running.md", "Setting it up"): "test_the_readme_shows_what_is_printed_for_the_answers_of_the_documents",
    ("running.md", "Permissions"): "test_each_process_does_its_whole_job_with_its_own_rights",
    ("running.md", "Rotating keys"): "test_a_key_is_rotated_as_the_page_says",
    ("runbooks.md", "Dead letters by reason"): STORY,
    ("session-timeout-job.md", "Run it"): "test_without_the_organizations_word_no_session_is_ended",
}


def shell_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Each `sh` block of a page, with the heading above it."""
    for match in BLOCK.finditer(text):
        above = BLOCK.sub("", text[: match.start()]).splitlines()
        if match[1] == "sh":
            yield [line for line in above if line.startswith("#")][-1].lstrip("# "), match[2]


def test_every_block_of_commands_is_run_by_a_test() -> None:
    """A block that nobody runs is wrong one day."""
    found = {(page.name, heading) for page, text in PAGES.items() for heading, _ in shell_blocks(text)}
    assert found == RUN_BY.keys()
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    assert [name for name in RUN_BY.values() if f"def {name}(" not in tests] == []


def test_every_command_of_the_incident_is_one_of_the_command_line() -> None:
    """`make incident` writes the page, and is seldom run: a command or option with a new name is told here."""
    block = "".join(blocks("text", PAGES[ROOT / "docs/incident.md"]))
    commands = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ revoker ")]
    assert len(commands) > len({command.split()[1] for command in commands}) > 1
    for command in commands:
        parsed(command)


@pytest.fixture
def system(tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """A running installation whose settings the commands of this process find."""
    url = f"embedded:///{tmp_path / 'broker.sqlite3'}"
    made = System(tmp_path / "system", url, processes, flood={"disabled": 2, "disabled_of_all": 1_000_000})
    monkeypatch.setenv(CONFIG_FILE, made.env[CONFIG_FILE])
    monkeypatch.chdir(tmp_path)
    made.start()
    yield made
    made.close()


def test_what_operators_type_answers(system: System, tmp_path: Path) -> None:
    """The blocks for operators, line by line, with a dead letter, a flood and a session of one's own."""
    letter = forbid_ada(system)
    real = {"REASON": FORBIDDEN, "54545612": letter[:8]}
    (tmp_path / "token").write_text(f"sbx-{uuid4()}")
    for heading in ("Dead letters by reason", "At three in the morning"):
        for line in lines_of(blocks("sh", section(heading))[0], real):
            wait_until(lambda: lies(system, letter).state is not DeadLetterState.REPLAYED, 30, "news of the replay")
            typed(line, tmp_path)
    assert lies(system, letter).state is DeadLetterState.DISCARDED
    (tmp_path / "event.json").write_text(json.dumps(system.ended(system.session("genesys", "sbx-planned"))))
    own = [blocks("sh", section(heading))[0] for heading in (*PROVIDERS, "The first revocation")]
    for line in lines_of("".join(own), {}):
        if line.startswith("revoker "):
            typed(line, tmp_path)
    for line in lines_of(blocks("sh", section("The doctor"))[0], {}):
        typed(line, tmp_path)
    for line in lines_of(blocks("sh", section("Metrics and health"))[0], {}):
        typed(line, tmp_path, {2})  # refused: processes of a test share the machine, and have no port
    disable(system, 8)
    flood = {"5d1c0f3a": id_of(standing(system.ledger)[0])}
    for line in lines_of(blocks("sh", section("Floods"))[0], flood):
        if "discard" in line:
            disable(system, 4)
        typed(line, tmp_path)
    for line in lines_of("".join(blocks("sh", section(each))[0] for each in ("The audit", "What is kept")), {}):
        typed(line, tmp_path)


def forbid_ada(system: System) -> str:
    """Have the provider forbid the call for a session of hers; return the id of the dead letter."""
    token = f"sbx-{uuid4()}"
    system.script({"fault": "status", "status": 403, "match": token, "operation": "genesys.delete_tokens_me"})
    event = system.ended(system.session("genesys", token))
    event["data"]["sub_id"] = {"format": "email", "email": ADA}
    system.publish([event])
    found = wait_until(system.ledger.dead_letters, 30, "the dead letter")
    return str(found[0].dead_letter_id)


def lies(system: System, letter: str) -> DeadLetterRow:
    """The dead letter as it lies in the ledger now."""
    return system.ledger.dead_letter(letter)


def disable(system: System, count: int) -> None:
    """Have so many people disabled at once, and wait until the rest of them is held back."""
    system.publish([system.disabled(accounts={"genesys": {"user_id": str(uuid4())}}) for _ in range(count)])
    wait_until(lambda: sum(each.held for each in standing(system.ledger)) >= count - 3, 30, "the flood to be held back")


@pytest.mark.parametrize("heading", PROVIDERS)
def test_a_provider_is_set_up_as_its_page_says(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its section of the TOML file, with the secrets as they are written, is what the settings ask for."""
    text = section(heading)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "revoker.toml").write_text(blocks("toml", text)[0])
    (tmp_path / "secrets/subject_key").touch(mode=0o600)
    (tmp_path / "secrets/subject_key").write_text("x" * 64)
    shell("umask 077", *(line for line in lines_of(blocks("sh", text)[0], {ETC: str(tmp_path)}) if "printf" in line))
    monkeypatch.setenv(CONFIG_FILE, str(tmp_path / "revoker.toml"))
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path / "secrets"))
    [name] = Settings.load().providers
    assert heading.lower().startswith(name)


def test_a_key_is_rotated_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line is for later, when the key lies aside again."""
    told = {"SUBJECT_KEY": "x" * 64, "LEDGER_URL": "sqlite:///ledger", "KEYS_DIR": "keys"}
    brief = dict.fromkeys(("RETRY__ROUTINE_BUDGET", "RETRY__URGENT_BUDGET"), "0.001")  # seconds, instead of days
    for name, value in (told | brief).items():
        monkeypatch.setenv(f"REVOKER_{name}", value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir(mode=0o700)
    save_key(tmp_path / "keys", generate_key("local-2026-01-31"))
    typed("revoker ledger upgrade", tmp_path)
    *lines, last = lines_of(blocks("sh", section("Rotating keys"))[0], {})
    for line in lines:
        typed(line, tmp_path, {0})
    typed(last.replace("--destroy ", ""), tmp_path, {0})
    typed(last, tmp_path, {0})
    shell(*lines_of(blocks("sh", section("Rotating keys"))[1], {f"{ETC}/secrets": str(tmp_path)}))


def shell(*lines: str) -> None:
    """Have bash run *lines*; each must succeed."""
    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
