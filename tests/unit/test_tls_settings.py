"""TLS settings: files that are fit or no start, and no way to have a server go unchecked."""

import ssl
from pathlib import Path

import pytest
from certificates import Authority
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from tasks.tls import TlsSettings
from worker import broker
from worker.broker.connection import encryption
from worker.settings import Settings, SettingsError

PASSWORD = "planted-broker-password"


@pytest.fixture(autouse=True)
def _installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose broker is reached with TLS."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", "k" * 32)
    monkeypatch.setenv("REVOKER_BROKER_URL", f"amqps://worker:{PASSWORD}@broker.test//")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of the test's own."""
    return Authority(tmp_path / "authority")


def fault() -> str:
    """The one line that refuses the start."""
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert PASSWORD not in str(refused.value)
    [line] = str(refused.value).splitlines()
    return line


def test_a_server_is_always_checked_and_never_older_than_1_2(authority: Authority) -> None:
    """Chain and host name, whatever is set."""
    mine = authority.issue("worker")
    for tls in (TlsSettings(), TlsSettings(ca_file=authority.file, certificate_file=mine, key_file=mine)):
        context = tls.context()
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("name", ["verify", "check_hostname", "verify_mode", "minimum_version", "insecure"])
def test_no_setting_turns_the_check_off(name: str) -> None:
    """An unknown name is refused, and these are all there are."""
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        TlsSettings.model_validate({name: False})
    assert set(TlsSettings.model_fields) == {"ca_file", "certificate_file", "key_file"}


@pytest.mark.parametrize("query", ["?ssl=1", "?ssl_cert_reqs=none", "?ssl_check_hostname=false", "?heartbeat=0"])
def test_the_brokers_url_says_nothing_about_tls(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """Kombu would believe it rather than us."""
    monkeypatch.setenv("REVOKER_BROKER_URL", f"amqps://worker:{PASSWORD}@broker.test/{query}")
    assert fault() == "broker_url: must have no query: broker_tls tells what TLS needs"


def test_one_host_in_clear_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kombu would go from the one to the other, and check neither's name."""
    monkeypatch.setenv("REVOKER_BROKER_URL", f"amqp://a:{PASSWORD}@broker.test//;amqps://a:{PASSWORD}@two.test//")
    assert fault() == "broker_url: must be amqps:// for every host, or for none"


def test_tls_settings_without_tls_are_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody believes in an encryption that is not there."""
    monkeypatch.setenv("REVOKER_BROKER_URL", f"amqp://worker:{PASSWORD}@broker.test//")
    monkeypatch.setenv("REVOKER_BROKER_TLS__CA_FILE", str(authority.file))
    assert fault().startswith("broker_tls: needs a broker_url that starts with amqps://")


def test_a_key_that_others_may_read_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private key is a secret like any other."""
    mine = authority.issue("worker")
    mine.chmod(0o640)
    for name in ("CERTIFICATE_FILE", "KEY_FILE"):
        monkeypatch.setenv(f"REVOKER_BROKER_TLS__{name}", str(mine))
    assert fault() == "broker_tls.key_file: the key's file is open to others; set its mode to 0600"


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (("CA_FILE", "nowhere.pem"), "broker_tls.ca_file: Path does not point to a file"),
        (("CA_FILE", "text.pem"), "broker_tls: ca_file: no certificate can be read there"),
        (("KEY_FILE", "text.pem"), "broker_tls: set certificate_file and key_file, or neither"),
    ],
)
def test_an_unfit_file_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: tuple[str, str], told: str
) -> None:
    """Told by the setting's name, not found out when the certificate is needed."""
    (tmp_path / "text.pem").touch(0o600)
    monkeypatch.setenv(f"REVOKER_BROKER_TLS__{variable[0]}", variable[1])
    assert fault() == told


def test_a_key_with_a_passphrase_or_of_another_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL would ask for the passphrase at a terminal that nobody watches."""
    mine, other = authority.issue("worker"), authority.issue("other")
    key = serialization.load_pem_private_key(mine.read_bytes(), None)
    hidden = serialization.BestAvailableEncryption(b"passphrase")
    (locked := tmp_path / "locked.pem").touch(0o600)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(key.private_bytes(pem, pkcs8, hidden))
    for unfit in (locked, other):
        with pytest.raises(ValidationError, match="no pair without a passphrase"):
            TlsSettings(certificate_file=mine, key_file=unfit)


def test_kombu_and_celery_are_told_the_same_and_in_clear_nothing(authority: Authority) -> None:
    """One home for both: the files by their paths, the least version, and that the host's name is checked."""
    mine = authority.issue("worker")
    tls = TlsSettings(ca_file=authority.file, certificate_file=mine, key_file=mine)
    told = encryption("amqps://broker.test//", tls)
    assert told == {
        "server_hostname": None,
        "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
        "ca_certs": str(authority.file),
        "certfile": str(mine),
        "keyfile": str(mine),
    }
    assert broker.connect("amqps://broker.test//", tls).ssl == told
    assert encryption("amqp://127.0.0.1//", tls) is False
