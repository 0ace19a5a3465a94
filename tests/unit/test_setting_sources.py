"""Where settings come from: a name that nothing reads, or a file that cannot be read, refuses the start by name."""

import os
from pathlib import Path

import pytest
from starting import MARKER, faults, secret, without_settings

from worker.settings import Settings


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_settings(monkeypatch, tmp_path)


SECRET_NAMES = {
    "broker_ulr": "broker_url",
    "brokerurl": "broker_url",
    "broker-url": "broker_url",
    "broker.url": "broker_url",
    "broker__url": "broker_url",
    "broker_url.txt": "broker_url",
    "broker_url~": "broker_url",
    "REVOKER_BROKER_URL": "broker_url",
    "Revoker-Broker-Url.txt": "broker_url",
    "subjectKey": "subject_key",
    "ledger url": "ledger_url",
    "sentry_dsn.pem": "sentry_dsn",
    "retry_cap": "retry__cap",
    "provider__eu__client_secret": "providers__eu__client_secret",
    "providers-eu-client_secret": "providers__eu__client_secret",
    "log_level__x": "log_levels__x",
    "log_format__x": "log_format",
}
VARIABLES = {
    "REVOKER_BROKR_URL": "REVOKER_BROKER_URL",
    "revoker_broker_ulr": "REVOKER_BROKER_URL",
    "Revoker_BrokerUrl": "REVOKER_BROKER_URL",
    "REVOKER_BROKER-URL": "REVOKER_BROKER_URL",
    "REVOKER-BROKER-URL": "REVOKER_BROKER_URL",
    "REVOKER_BROKER__URL": "REVOKER_BROKER_URL",
    "REVOKER_RETRY_MAX_ATTEMPTS": "REVOKER_RETRY__MAX_ATTEMPTS",
    "REVOKER_PROVIDER__EU__CLIENT_SECRET": "REVOKER_PROVIDERS__EU__CLIENT_SECRET",
    "REVOKER_PROVIDERS_EU_CLIENT_SECRET": "REVOKER_PROVIDERS__EU__CLIENT_SECRET",
}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of secret files, empty."""
    monkeypatch.setenv("REVOKER_SECRETS_DIR", "secrets")
    (tmp_path / "secrets").mkdir()
    return tmp_path / "secrets"


@pytest.mark.parametrize(("name", "meant"), SECRET_NAMES.items())
def test_a_misspelt_secret_file_is_named_with_what_was_meant(folder: Path, name: str, meant: str) -> None:
    """With a default in its place the processes would wait on an empty broker of their own."""
    secret(folder, name, MARKER)
    assert faults() == [f"{name}: unknown setting; did you mean {meant}?"]


@pytest.mark.parametrize(("name", "meant"), VARIABLES.items())
def test_a_misspelt_variable_of_any_case_is_named_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    """Lower case is read as well as upper case, so it can be misspelt as well."""
    monkeypatch.setenv(name, MARKER)
    assert faults() == [f"{name}: unknown setting; did you mean {meant}?"]


@pytest.mark.parametrize("name", ["config_file", "Config_File", "secrets_dir"])
def test_where_the_files_are_is_told_in_upper_case_only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """These two are read before anything else is: in another case they would not be."""
    monkeypatch.setenv(f"revoker_{name}", MARKER)
    assert faults()[0].startswith(f"revoker_{name}: unknown setting")


def test_a_name_like_none_is_told_without_a_guess(folder: Path) -> None:
    """A guess that is far away would only mislead."""
    secret(folder, "zzzzzzzz", MARKER)
    assert faults() == ["zzzzzzzz: unknown setting"]


@pytest.mark.parametrize(
    ("location", "meant"),
    [
        ("retry__max_atempts", "retry.max_attempts"),
        ("providers__eu__client_secrte", "providers.eu.client_secret"),
        ("providers__eu__client_secret.txt", "providers.eu.client_secret"),
        ("providers__eu__tls__cafile", "providers.eu.tls.ca_file"),
        ("broker_tls__ca-file", "broker_tls.ca_file"),
    ],
)
def test_a_misspelt_member_is_named_with_what_was_meant(folder: Path, location: str, meant: str) -> None:
    """At any depth, under the name that it was given."""
    secret(folder, "providers__eu__kind", "genesys")
    secret(folder, location, MARKER)
    assert f"{location.replace('__', '.')}: unknown setting; did you mean {meant}?" in faults()


def test_a_setting_is_not_given_twice(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Which of the two is read would be chance."""
    secret(folder, "environment", "one")
    secret(folder, "Environment", "two")
    monkeypatch.setenv("REVOKER_LOG_LEVEL", "INFO")
    monkeypatch.setenv("revoker_log_level", "DEBUG")
    assert faults() == [
        "revoker_log_level: the same setting as REVOKER_LOG_LEVEL",
        "environment: the same setting as Environment",
    ]


SERVICE = ("_SERVICE_HOST", "_SERVICE_PORT", "_SERVICE_PORT_AMQP", "_SERVICE_PORT_HTTP_METRICS", "_PORT")
PORTS = [
    f"_PORT_5672_{protocol}{end}" for protocol in ("TCP", "UDP", "SCTP") for end in ("", "_PROTO", "_PORT", "_ADDR")
]


@pytest.mark.parametrize("service", ["REVOKER", "REVOKER_SANDBOX", "REVOKER_WORKER", "REVOKER_WORKER_2"])
def test_the_variables_of_a_kubernetes_service_are_no_settings(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """The kubelet sets them in every container of the namespace; nobody means them for us."""
    for end in (*SERVICE, *PORTS):
        monkeypatch.setenv(f"{service}{end}", "10.0.0.7")
    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    "name",
    [
        "REVOKER_PORTS",
        "REVOKER_SERVICE",
        "REVOKER_SERVICE_HOSTS",
        "REVOKER_SERVICE_PROT",
        "REVOKER_PORT_5672",
        "REVOKER_PORT_AMQP_TCP",
        "REVOKER_PORT_5672_TCP_ADDRESS",
        "REVOKER_PORT_5672_HTTP",
        "revoker_port",
        "REVOKER__PORT",
        "REVOKER_WORKER__PORT",
    ],
)
def test_a_typo_beside_those_of_a_service_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is passed over are these names exactly."""
    monkeypatch.setenv(name, "1")
    assert ": unknown setting" in faults()[0]


@pytest.mark.parametrize(("name", "value"), [("engine", "asyncio"), ("concurrency", "64")])
def test_a_setting_of_the_engine_that_is_gone_is_unknown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """There is one engine: whoever still chooses one is told, by the setting's name."""
    monkeypatch.setenv(f"REVOKER_WORKER__{name.upper()}", value)
    assert faults()[0].startswith(f"worker.{name}: unknown setting")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o444, 0o440, 0o404, 0o610, 0o602, 0o601])
def test_a_secret_file_of_our_own_that_is_open_refuses_the_start(folder: Path, mode: int) -> None:
    """A secret that others can read is none."""
    secret(folder, "subject_key", "x" * 32, mode)
    assert faults() == ["subject_key: the secret's file is open to others; set its mode to 0600"]


UNFIT = {
    "nothing": (b"", "is empty"),
    "white space": (b" \n", "is empty"),
    "a mark": ("\ufeff".encode() + b"x" * 32, "begins with a byte order mark; save it as UTF-8 without one"),
    "a mark within": (b"x" * 32 + "\ufeff".encode(), "holds characters that are no text; save it as UTF-8"),
    "UTF-16": (("x" * 32).encode("utf-16"), "is not UTF-8"),
    "UTF-16 without its mark": (("x" * 32).encode("utf-16-le"), "holds characters that are no text; save it as UTF-8"),
    "UTF-32": (("x" * 32).encode("utf-32"), "is not UTF-8"),
    "Latin-1": (("é" * 32).encode("latin-1"), "is not UTF-8"),
}


@pytest.mark.parametrize(("content", "said"), UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("name", ["subject_key", "providers__eu__client_secret"])
def test_a_secret_file_that_is_no_text_is_named(folder: Path, name: str, content: bytes, said: str) -> None:
    """A mark would become a part of the key: who has a copy without it finds nobody."""
    secret(folder, name, content)
    assert faults() == [f"{name}: the secret's file {said}"]


def test_a_secret_file_that_leads_nowhere_is_named(folder: Path) -> None:
    """It is not passed over."""
    (folder / "broker_url").symlink_to("gone")
    assert faults() == ["broker_url: the secret's file cannot be read (No such file or directory)"]


def test_what_would_be_read_for_ever_is_named(folder: Path) -> None:
    """A pipe that nobody writes to, or a file without end, stops no start."""
    os.mkfifo(folder / "broker_url", 0o600)
    with secret(folder, "ledger_url", MARKER).open("ab") as file:
        file.truncate(1_048_577)
    assert faults() == [
        f"{name}: the secret's file is no regular file of up to 1048576 bytes" for name in ("broker_url", "ledger_url")
    ]


@pytest.mark.parametrize("name", ["REVOKER_CONFIG_FILE", "REVOKER_SECRETS_DIR"])
def test_a_place_that_is_named_by_nothing_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An empty variable in a template must not mean defaults."""
    monkeypatch.setenv(name, "")
    assert faults() == [f"{name}: names nothing; leave it out"]


def test_a_configuration_that_can_be_read_but_once_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the check reads from a pipe would be missing afterwards."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "pipe")
    assert faults() == ["REVOKER_CONFIG_FILE: there is no such file"]


def test_a_secret_file_may_be_a_link_to_elsewhere(folder: Path, tmp_path: Path) -> None:
    """As Kubernetes has them; folders, and names that begin with a dot, are its own."""
    secret(tmp_path / "elsewhere", "it", "staging\n")
    (folder / "environment").symlink_to(tmp_path / "elsewhere/it")
    (folder / "..data").symlink_to(tmp_path / "elsewhere")
    (folder / "lost+found").mkdir()
    secret(folder, ".hidden", MARKER)
    assert Settings.load().environment == "staging"


BROKEN = {
    "unterminated": (b'a = 1\nb = "\xc3\xa9', "Unterminated string (at line 2, column 7)"),
    "statement": (b"a = 1\n  !\n", "Invalid statement (at line 2, column 3)"),
    "twice": (b"a = 1\na = 2\n", "Cannot overwrite a value (at line 2, column 6)"),
    "coding": ('a = 1\né = "é'.encode() + b"\xe9", "is not UTF-8 (at line 2, column 7)"),
    "mark": (
        b"\xef\xbb\xbfa = 1\n",
        "begins with a byte order mark; save it as UTF-8 without one (at line 1, column 1)",
    ),
    "huge": (b"a = " + b"1" * 5000, "holds a value that is too large to be read"),
    "deep": (b"a = " + b"[" * 50_000, "holds a value that is too large to be read"),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_toml_file_is_told_with_line_column_and_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, said: str
) -> None:
    """One line."""
    (tmp_path / "r.toml").write_bytes(content)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert faults() == [f"r.toml: {said}"]


@pytest.mark.parametrize(
    ("name", "told"),
    [("REVOKER_RETRY", "retry"), ("REVOKER_SOURCES__A__TYPES", "sources"), ("REVOKER_PROVIDERS", "providers")],
)
def test_a_list_or_table_that_is_no_json_is_told_by_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    """And not as a fault of the TOML file."""
    monkeypatch.setenv(name, MARKER)
    assert faults() == [f"{told}: a list or table in a variable or secret file must be JSON"]


def test_a_folder_of_secrets_that_is_a_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong path must not mean defaults."""
    monkeypatch.setenv("REVOKER_SECRETS_DIR", os.fspath(secret(tmp_path, "file", MARKER)))
    assert faults() == ["REVOKER_SECRETS_DIR: there is no such folder"]


@pytest.mark.parametrize("value", ["12345678", '"quoted"', "null", "true", "1e5", "-0"])
@pytest.mark.parametrize("is_file", [True, False], ids=["file", "variable"])
def test_a_secret_that_reads_as_json_is_the_text_it_is(
    monkeypatch: pytest.MonkeyPatch, folder: Path, value: str, *, is_file: bool
) -> None:
    """One of digits is no number, and quotes are a part of it."""
    for name, text in {"kind": "genesys", "region": "eu-west-1", "client_id": "4711"}.items():
        monkeypatch.setenv(f"REVOKER_PROVIDERS__EU__{name.upper()}", text)
    if is_file:
        secret(folder, "providers__eu__client_secret", value)
    else:
        monkeypatch.setenv("REVOKER_PROVIDERS__EU__CLIENT_SECRET", value)
    [provider] = Settings.load().providers.values()
    assert (provider.account[1], provider.model_dump()["client_secret"].get_secret_value()) == ("4711", value)


def test_lists_and_tables_of_a_provider_are_still_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its numbers and truth values are what their settings make of them."""
    wibmo = {"kind": "wibmo", "base_url": "https://wibmo.test", "api_key": "1", "rate_limit": "5", "timeout": "2.5"}
    cipher = {"cipher": '{"scheme": "none", "accept_risk": "none"}', "success_codes": '[100, "x"]'}
    for name, text in {**wibmo, **cipher}.items():
        monkeypatch.setenv(f"REVOKER_PROVIDERS__W__{name.upper()}", text)
    found = Settings.load().providers["w"].model_dump()
    assert (found["rate_limit"], found["timeout"], found["success_codes"]) == (5, 2.5, {100, "x"})
