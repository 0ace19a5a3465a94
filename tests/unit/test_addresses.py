"""URLs of servers: what a library would read otherwise than it is written refuses the start; no password is told."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from kombu.utils.url import parse_url
from sentry_sdk.utils import Dsn
from sqlalchemy import make_url
from starting import faults, without_settings

from tasks.hosts import is_host, is_loopback
from worker.database.engine import open_database
from worker.ledger import LedgerUnavailable
from worker.observability.redaction import redacted
from worker.settings import Settings, SettingsError
from worker.settings.urls import fault_of_ledger_url, is_in_clear, masked_url, without_userinfo

SERVERS = {
    "broker_url": "amqps://revoker:{}@broker.test:5671/vhost",
    "ledger_url": "postgresql+psycopg://revoker:{}@db.test:5432/revoker",
    "sentry_dsn": "https://key:{}@sentry.test/42",
}
HEAD, TAIL = "Zq8", "Tail9secret"


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_settings(monkeypatch, tmp_path)


def fault(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> str:
    """The one line that refuses the start with *url*; it holds no part of a password."""
    monkeypatch.setenv(f"REVOKER_{name.upper()}", url)
    [line] = faults()
    assert not [part for part in (HEAD, TAIL) if part in line]
    assert line.startswith(f"{name}: ")
    return line


@in_one_test
@pytest.mark.parametrize("head", [HEAD, "12", ""])
@pytest.mark.parametrize(
    "character", ["/", "?", "#", "[", "]", "@", "%", "%2", ";", " ", "\n", "@@", "/@", "]@[", *"<>\"'"]
)
@pytest.mark.parametrize("name", SERVERS)
def test_an_unencoded_character_in_a_password_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, character: str, head: str
) -> None:
    """A library would take the rest of the password for a port or a host, and tell it."""
    line = fault(monkeypatch, name, SERVERS[name].format(f"{head}{character}{TAIL}"))
    assert "percent-encode" in line or name == "sentry_dsn"


@pytest.mark.parametrize("character", ["/", "#", "[", "@", "%"])
@pytest.mark.parametrize("name", ["broker_url", "ledger_url"])
def test_an_unencoded_character_in_a_user_name_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, character: str
) -> None:
    """Likewise."""
    assert "percent-encode" in fault(monkeypatch, name, SERVERS[name].replace("revoker:", f"a{character}b:"))


@in_one_test
@pytest.mark.parametrize("character", [chr(code) for code in range(33, 127)])
@pytest.mark.parametrize("name", ["broker_url", "ledger_url"])
def test_no_password_that_a_start_takes_is_shown(monkeypatch: pytest.MonkeyPatch, name: str, character: str) -> None:
    """Whatever stands in it: where it was not refused, texts about the URL hide all of it."""
    url = SERVERS[name].format(f"{HEAD}{character}{TAIL}")
    monkeypatch.setenv(f"REVOKER_{name.upper()}", url)
    told = f"{masked_url(url)} {without_userinfo(f'{url}: refused')} {redacted(f'cannot reach {url!r}')}"
    try:
        Settings.load()
    except SettingsError as refusal:
        told = str(refusal)
    assert not [part for part in (HEAD, TAIL) if part in told]


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "1e3", "", "\uff15\uff16", "5672,5673", "99999999"])
@pytest.mark.parametrize("name", ["broker_url", "ledger_url"])
def test_a_port_that_is_none_refuses_the_start(monkeypatch: pytest.MonkeyPatch, name: str, port: str) -> None:
    """It could be the middle of a password."""
    url = SERVERS[name].replace(":5671", ":5432").replace(":5432", f":{port}").format(TAIL)
    assert "port" in fault(monkeypatch, name, url)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("broker_url", "amqp://"),
        ("broker_url", "amqps:///vhost"),
        ("broker_url", f"amqps://revoker:{TAIL}@/vhost"),
        ("broker_url", f"amqps://revoker:{TAIL}@:5671/vhost"),
        ("broker_url", "amqps://a.test;amqps://"),
        ("ledger_url", "postgresql+psycopg://"),
        ("ledger_url", "postgresql+psycopg:///revoker"),
        ("ledger_url", f"postgresql+psycopg://revoker:{TAIL}@/revoker?sslmode=require"),
        ("sentry_dsn", "https://key@/42"),
    ],
)
def test_a_url_without_a_host_refuses_the_start(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """Kombu would take localhost."""
    assert "host" in fault(monkeypatch, name, url)


@pytest.mark.parametrize(
    "dsn", ["", TAIL, f"https://{TAIL}", f"https://sentry.test/{TAIL}", "https://k@sentry.test/", "ftp://k@h/1"]
)
def test_what_is_no_dsn_refuses_the_start(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    """An empty one, too: nobody would learn of any error."""
    assert "DSN" in fault(monkeypatch, "sentry_dsn", dsn)


PASSWORDS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)


@given(PASSWORDS)
def test_an_encoded_password_is_the_one_that_arrives(password: str) -> None:
    """Whatever it is made of: what the settings take, kombu, SQLAlchemy and Sentry read alike."""
    encoded = "".join(f"%{byte:02X}" for byte in password.encode())
    urls = {name: url.format(encoded) for name, url in SERVERS.items()}
    loaded = Settings.model_validate({**urls, "subject_key": "k" * 32})
    broker = parse_url(loaded.broker_url.get_secret_value())
    assert (broker["hostname"], broker["port"], broker["virtual_host"]) == ("broker.test", 5671, "vhost")
    ledger = make_url(loaded.ledger_url.get_secret_value())
    assert (broker["password"], ledger.password, ledger.host) == (password, password, "db.test")
    assert loaded.sentry_dsn
    assert Dsn(loaded.sentry_dsn.get_secret_value()).host == "sentry.test"


@given(st.text(alphabet="aZ9/?#[]@:%;, \t.-_", max_size=30), st.sampled_from(["broker_url", "ledger_url"]))
def test_what_is_taken_is_read_by_the_library_as_by_us(rest: str, name: str) -> None:
    """No URL at all makes kombu or SQLAlchemy raise, or find a host with an @ in it."""
    url = f"{SERVERS[name].partition('://')[0]}://{rest}"
    try:
        Settings.model_validate({name: url, "subject_key": "k" * 32})
    except ValueError:
        return
    for each in url.split(";") if name == "broker_url" else [url]:
        host = (parse_url(each)["hostname"] if name == "broker_url" else make_url(each).host) or ""
        assert "@" not in host
        # A host is one in capitals and in small letters, and kombu makes them small.
        assert masked_url(each).lower().rpartition("@")[2].startswith(("amqps://", "postgresql", host.lower(), "["))


IN_CLEAR = [
    "amqp://broker.test//",
    "amqp://u:p@10.0.0.7:5672/v",
    "amqp://localhost.test/",
    "amqp://[2001:db8::1]/",
    "amqp://127.0.0.1;amqp://b.test",
]


@pytest.mark.parametrize("url", IN_CLEAR)
def test_an_unencrypted_broker_on_another_machine_is_an_accepted_risk_or_no_start(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Whoever listens reads the password, and then says who is logged out."""
    assert 'broker_accept_risk = "plaintext"' in fault(monkeypatch, "broker_url", url)
    monkeypatch.setenv("REVOKER_BROKER_ACCEPT_RISK", "plaintext")
    assert Settings.load().broker_url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "amqp://localhost//",
        "amqp://u:p@127.0.0.1/v",
        "amqp://[::1]:5672/",
        "amqp://127.1.2.3/",
        "amqps://broker.test/",
        "embedded:///b",
    ],
)
def test_what_leaves_no_machine_or_is_encrypted_needs_no_acceptance(url: str) -> None:
    """`amqp://` to loopback is what a broker beside us speaks."""
    assert not is_in_clear(url)


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        *(("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.255.0.9", True), ("::1", True)),
        *(("::1%25evil", False), ("::1%evil", False), ("127.0.0.1.evil.test", False), ("localhost.evil.test", False)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("127.0.0.1%25a", False), ("", False)),  # noqa: S104
    ],
)
def test_loopback_is_told_by_the_address_itself(host: str, *, is_it: bool) -> None:
    """A zone, in which anything may stand, is no part of an address."""
    assert is_loopback(host) is is_it
    assert "%" not in host or not is_host(host)


SPECIAL = "?#%;"


@pytest.mark.parametrize("character", [*SPECIAL, "\n", "\x00"])
@pytest.mark.parametrize(("name", "scheme"), [("broker_url", "embedded"), ("ledger_url", "sqlite")])
def test_a_file_of_a_database_is_that_very_file_or_refused(
    tmp_path: Path, name: str, scheme: str, character: str
) -> None:
    """A library cuts a path at a `?` or decodes it: another file would be opened."""
    path = f"{tmp_path}/a{character}b"
    try:
        loaded = Settings.model_validate({name: f"{scheme}:///{path}", "subject_key": "k" * 32})
    except ValueError:
        assert character in "?\n\x00" or name == "broker_url"
    else:
        assert make_url(loaded.ledger_url.get_secret_value()).database == path


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters=SPECIAL), min_size=1, max_size=20))
def test_the_file_that_is_named_is_the_file_that_is_opened(name: str) -> None:
    """By kombu and by SQLAlchemy, for every path that the settings take."""
    path = f"/var/{name}"
    try:
        Settings.model_validate(
            {"broker_url": f"embedded:///{path}", "ledger_url": f"sqlite:///{path}", "subject_key": "k" * 32}
        )
    except ValueError:
        assert path != path.strip()
        return
    assert parse_url(f"embedded:///{path}")["virtual_host"] == path
    assert make_url(f"sqlite:///{path}").database == path


@pytest.mark.parametrize("url", ["embedded:///", "sqlite:///", "sqlite:///:memory:", "sqlite:///?x"])
def test_a_database_without_a_file_refuses_the_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It would be gone with the process."""
    name = "broker_url" if url.startswith("embedded") else "ledger_url"
    assert "must name a file" in fault(monkeypatch, name, url)


USERINFO = [
    f"u:{HEAD}@{TAIL}",
    f"u:{HEAD}/@{TAIL}",
    f"{HEAD}?{TAIL}",
    f"u:{HEAD}@x@{TAIL}",
    f"{TAIL}",
    f":{TAIL}",
    f"u:{HEAD}#{TAIL}",
]
TEXTS = {
    "config show and commands": masked_url,
    "logs and Sentry": lambda url: str(redacted({"detail": f"could not reach {url}, giving up"})),
    "driver errors": lambda url: without_userinfo(f'connection to "{url}" failed'),
}


@in_one_test
@pytest.mark.parametrize("userinfo", USERINFO)
@pytest.mark.parametrize("scheme", ["amqp", "amqps", "postgresql+psycopg", "postgresql", "https"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_holds_what_stands_before_the_last_at(text: Any, scheme: str, userinfo: str) -> None:
    """However the password is made."""
    told = text(f"{scheme}://{userinfo}@server.test:5432/name")
    assert not [part for part in (HEAD, TAIL) if part in told]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"amqp://u:p@{TAIL}@broker.test//", "amqp://•••@broker.test//"),
        (f"amqp://u:p/{TAIL}@broker.test:5672/v", "amqp://•••@broker.test:5672/v"),
        (f"amqps://u:p:{TAIL}@broker.test/v", "amqps://•••@broker.test/v"),
        (f"amqp://u:p%40{TAIL}@broker.test/v", "amqp://•••@broker.test/v"),
        ("amqp://u:@broker.test/v", "amqp://•••@broker.test/v"),
        (f"amqp://u:p@{TAIL}@[2001:db8::1]:5672/v", "amqp://•••@[2001:db8::1]:5672/v"),
        (f"postgresql+psycopg://u:{TAIL}@[::1]/name", "postgresql+psycopg://•••@[::1]/name"),
        ("amqp://broker.test/v", "amqp://broker.test/v"),
        ("embedded:////var/broker.sqlite3", "embedded:////var/broker.sqlite3"),
        (f"https://hooks.test/{TAIL}", "•••"),
        (TAIL, "•••"),
    ],
)
def test_of_a_url_its_place_alone_is_shown(url: str, told: str) -> None:
    """Whatever its password is made of, and where it is empty: one function masks for every place."""
    assert masked_url(url) == told


@pytest.mark.parametrize("query", [f"?password={HEAD}@{TAIL}", f"?password={TAIL}"])
def test_no_query_is_shown(query: str) -> None:
    """It may hold a password, and an @."""
    assert TAIL not in masked_url(f"postgresql://u:{HEAD}@server.test/name{query}")


@pytest.mark.parametrize("password", [f"{HEAD}@{TAIL}", f"{HEAD}/{TAIL}", f"{HEAD}@{HEAD}@{TAIL}"])
def test_the_ledgers_own_errors_hold_no_password(password: str) -> None:
    """Nor where the URL never went through the settings."""
    url = f"postgresql+psycopg://revoker:{password}@127.0.0.1:1/db"
    assert fault_of_ledger_url(url)
    with pytest.raises(LedgerUnavailable) as refused, open_database(url).reading():
        pass
    assert not [part for part in (HEAD, TAIL) if part in str(refused.value)]
