"""`revoker init`, what it writes: loadable as it was answered, private, nothing overwritten, all of it or nothing."""

import json
import os
import resource
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu.utils.url import parse_url
from setup_answers import ANSWERS, EMBEDDED, GENESYS, ONE_USER, SESSIONS, loaded, set_up
from sqlalchemy import make_url
from starting import MARKER, secret, without_settings

from tasks.sealing.keys import read_keys
from worker.broker.permissions import USERS
from worker.intake.signing import is_signed, read_signing_key, sign
from worker.intake.signing import read_keys as read_signing_keys
from worker.operations import RefusedRequest
from worker.operations.opening_broker import permissions
from worker.operations.setup import plan_setup, write
from worker.operations.setup.steps import next_steps

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1).filter(
    lambda it: it[0] not in "[{"
)
ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,9}(_[a-z0-9-]{1,9})?", fullmatch=True)


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_settings(monkeypatch, tmp_path)
    monkeypatch.delenv("REVOKER_SUBJECT_KEY")


@settings(max_examples=30, deadline=None, database=None)
@given(
    provider=NAMES,
    secret_=VISIBLE,
    password=ANY,
    client=ANY,
    environment=st.text(st.characters(codec="utf-8"), max_size=64),
    issuers=st.lists(ANY, min_size=1, max_size=3),
    source=NAMES.filter(lambda name: name not in USERS),
)
def test_what_is_written_loads_as_it_was_answered(  # noqa: PLR0913 - one for each answer
    *, provider: str, secret_: str, password: str, client: str, environment: str, issuers: list[str], source: str
) -> None:
    """Quotes, line breaks, percent signs and all of Unicode."""
    answers = {
        **ONE_USER,
        "broker_password": password,
        "ledger_password": password,
        "environment": environment,
        "providers": {provider: {**GENESYS, "client_id": client, "client_secret": secret_}},
        "sources": {source: {**SESSIONS, "issuers": issuers, "providers": [provider]}},
    }
    with tempfile.TemporaryDirectory() as folder:
        set_up(Path(folder), answers)
        with loaded(Path(folder)) as found:
            assert parse_url(found.broker_url.get_secret_value())["password"] == password
            assert make_url(found.ledger_url.get_secret_value()).password == password
            assert found.environment == environment
            genesys = found.providers[provider].model_dump()
            assert (genesys["client_id"], genesys["client_secret"].get_secret_value()) == (client, secret_)
            assert found.sources[source].issuers == set(issuers)


@pytest.mark.parametrize("answers", [ANSWERS, ONE_USER, EMBEDDED], ids=["a user each", "one user", "embedded"])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_no_secret_that_is_written_is_open_to_others(tmp_path: Path, answers: dict[str, Any], umask: int) -> None:
    """Whatever the umask is; what is public can be read by everybody who reaches the folder."""
    before = os.umask(umask)
    try:
        files = set_up(tmp_path / "etc", answers)
    finally:
        os.umask(before)
    public = {path for path in files if path.suffixes[-2:] == [".jwks", ".json"] or path.name == "revoker.toml"}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in files}
    assert {modes[path] for path in public} == {0o644}
    assert {modes[path] for path in files if path not in public} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files} == {0o700}
    assert not [path for path in public if MARKER in path.read_text()]


def test_each_process_finds_its_own_user_and_what_all_share(tmp_path: Path) -> None:
    """A secret that all share lies in one place: there it is replaced for all."""
    set_up(tmp_path, ANSWERS)
    users = {}
    for process in USERS:
        with loaded(tmp_path, process) as found:
            users[process] = parse_url(found.broker_url.get_secret_value())
    assert {process: (url["userid"], url["virtual_host"]) for process, url in users.items()} == {
        process: (f"revocation-{process}", "revocation") for process in USERS
    }
    assert len({url["password"] for url in users.values()}) == len(USERS)
    (tmp_path / "secrets/providers__genesys__client_secret").write_text("another")
    with loaded(tmp_path, "worker") as found:
        assert found.providers["genesys"].model_dump()["client_secret"].get_secret_value() == "another"


def test_the_process_of_the_doors_is_started_where_there_are_doors(tmp_path: Path) -> None:
    """Its folder is made for later. A source that has doors is proved by these: it gets no key."""
    door = {"kind": "scim", "url": "https://revoker.example.com/door", "bearer_file": "door", "subject_issuer": "urn:i"}
    with_doors = {"doors": {"okta": door}, "sources": {"okta": {"source": "urn:okta", "doors": ["okta"]}}}
    for number, (more, printed) in enumerate([({}, 0), (with_doors, 1)]):
        plan = plan_setup(tmp_path / str(number), ANSWERS | more)
        assert sum(step.endswith("/secrets/door revoker door") for step in next_steps(plan)) == printed
        users = [each["user"] for each in permissions(plan.settings)["permissions"]]
        assert users.count("revocation-door") == printed
    assert plan.sources == ()


def test_a_process_that_an_earlier_release_did_not_know_gets_no_half_of_a_folder(tmp_path: Path) -> None:
    """It would be without a user of the broker."""
    set_up(tmp_path, ANSWERS)
    shutil.rmtree(tmp_path / "secrets/door")
    set_up(tmp_path, {"providers": {"eu": {**GENESYS, "client_secret": "another"}}})
    assert (tmp_path / "secrets/worker/providers__eu__client_secret").exists()
    assert not (tmp_path / "secrets/door").exists()


def test_where_no_secret_folder_of_a_process_is_named_nobody_waits_on_a_broker_of_its_own(tmp_path: Path) -> None:
    """The TOML file names the broker, without a user."""
    set_up(tmp_path, ANSWERS)
    with loaded(tmp_path) as found:
        assert found.broker_url.get_secret_value() == ANSWERS["broker_url"]


def test_a_source_is_known_by_the_key_that_its_producer_is_given(tmp_path: Path) -> None:
    """And the producer seals with the public half of our key."""
    set_up(tmp_path, ANSWERS)
    with loaded(tmp_path) as found:
        keys = read_signing_keys(found.sources["sessions"].keys or Path())
        [ours] = read_keys(found.keys_dir)
    producer = tmp_path / "producers/sessions"
    assert is_signed(b"{}", sign(b"{}", read_signing_key(producer / "signing.jwk")), keys)
    [public] = json.loads((producer / "sealing.jwks.json").read_text())["keys"]
    assert (public["kid"], public["crv"], "d" in public) == (ours.kid, "X25519", False)
    assert parse_url((producer / "broker_url").read_text())["userid"] == "revocation-sessions"


@pytest.mark.parametrize("proof", [{"users": ["it"]}, {"keys": "/its/keys"}, {"trusted": True}], ids=str)
def test_a_source_that_brings_its_proof_gets_none(tmp_path: Path, proof: dict[str, Any]) -> None:
    """What is decided is left as it is."""
    set_up(tmp_path, {**ANSWERS, "sources": {"sessions": SESSIONS | proof}})
    assert not (tmp_path / "producers").exists()
    with loaded(tmp_path) as found:
        assert found.sources["sessions"].model_dump(mode="json")[next(iter(proof))] == next(iter(proof.values()))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Every file in the way is named, and none is written; not even through a link that leads nowhere."""
    secret(tmp_path / "secrets", "subject_key", "mine")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/sessions.jwks.json").symlink_to("nowhere")
    with pytest.raises(RefusedRequest) as refused:
        set_up(tmp_path, ANSWERS)
    named = str(refused.value).splitlines()
    assert named[:2] == [
        f"{tmp_path}/{each}: is there already" for each in ("secrets/subject_key", "sources/sessions.jwks.json")
    ]
    assert {each.name for each in tmp_path.rglob("*")} == {"secrets", "subject_key", "sources", "sessions.jwks.json"}


def test_what_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path) -> None:
    """The configuration comes last, and what stood before it is taken away."""
    (tmp_path / "rabbitmq").touch()
    with pytest.raises(OSError, match="Not a directory"):
        set_up(tmp_path, ANSWERS)
    assert [each.name for each in tmp_path.iterdir()] == ["rabbitmq"]


@pytest.mark.parametrize("there", [False, True], ids=["at first", "later"])
def test_a_disk_that_is_full_is_told_with_the_file_and_leaves_all_as_it_was(tmp_path: Path, *, there: bool) -> None:
    """Python's own error of a write names no file. A table that does not fit is taken off the file again."""
    answers = dict(ANSWERS)
    if there:
        set_up(tmp_path, ANSWERS)
        answers = {"providers": {"lusid": {"kind": "finbourne", "domain": "acme"}}}
    plan = plan_setup(tmp_path, answers)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = len(before[tmp_path / "revoker.toml"]) + 10 if there else 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # bytes of a file: what comes then is EFBIG
    try:
        with pytest.raises(OSError, match=r"File too large|No space left") as full:
            write(plan.files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Path(full.value.filename).is_relative_to(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_provider_and_a_source_are_added_and_nothing_else_is_touched(tmp_path: Path) -> None:
    """The text that is there stays, comments and all; each process finds the new secret."""
    before = {path: path.read_bytes() for path in set_up(tmp_path, ANSWERS)}
    config = tmp_path / "revoker.toml"
    config.write_bytes(config.read_bytes() + b"# mine")
    before.pop(config)
    config.chmod(0o640)
    eu = {**GENESYS, "client_secret": "another"}
    set_up(tmp_path, {"providers": {"eu": eu}, "sources": {"directory": {"source": "urn:d", "providers": ["eu"]}}})
    assert {path: path.read_bytes() for path in before} == before
    assert b"# mine\n" in config.read_bytes()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    for process in USERS:
        with loaded(tmp_path, process) as found:
            assert found.providers["eu"].model_dump()["client_secret"].get_secret_value() == "another"
            assert found.sources.keys() == {"sessions", "directory"}
    [user] = json.loads((tmp_path / "rabbitmq/directory.json").read_text())["users"]
    assert user["name"] == "revocation-directory"


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        ({"broker_url": "amqps://other"}, "broker_url"),
        ({"providers": {"genesys": GENESYS}}, "providers.genesys"),
        ({"sources": {"sessions": SESSIONS}}, "sources.sessions"),
        ({"providers": 1}, "providers"),
    ],
)
def test_what_is_there_is_not_answered_again(tmp_path: Path, answers: dict[str, Any], named: str) -> None:
    """It is edited, by a person who sees it."""
    set_up(tmp_path, ANSWERS)
    with pytest.raises(RefusedRequest, match=rf"revoker.toml: is there already, and {named} is no new"):
        set_up(tmp_path, answers)


def test_a_file_that_takes_no_more_tables_is_told(tmp_path: Path) -> None:
    """An inline table is closed: TOML lets nothing be added to it."""
    (tmp_path / "revoker.toml").write_text(f'subject_key = "{"k" * 32}"\nproviders = {{}}\n')
    with pytest.raises(RefusedRequest, match=r"revoker.toml: .*, once tables are added to it"):
        set_up(tmp_path, {"providers": {"genesys": GENESYS}})
