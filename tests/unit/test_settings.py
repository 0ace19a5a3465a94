"""Settings: three sources, one reader; a typo refuses to start and names itself, never a value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from in_one_test import in_one_test
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from starting import MARKER, faults, secret, without_settings

from worker.settings import Settings


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_settings(monkeypatch, tmp_path)


def test_a_misspelt_variable_is_named_with_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic-settings would pass over it in silence."""
    monkeypatch.setenv("REVOKER_BROKR_URL", MARKER)
    assert faults() == ["REVOKER_BROKR_URL: unknown setting; did you mean REVOKER_BROKER_URL?"]


def test_a_misspelt_member_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment and in a provider's table alike."""
    monkeypatch.setenv("REVOKER_RETRY__MAX_ATEMPTS", "3")
    monkeypatch.setenv("REVOKER_PROVIDERS__FINBOURNE__KIND", "finbourne")
    monkeypatch.setenv("REVOKER_PROVIDERS__FINBOURNE__BASE_ULR", f"https://{MARKER}")
    named = [line.split(":")[0] for line in faults()]
    assert "retry.max_atempts" in named
    assert any(name.endswith("base_ulr") for name in named)


def test_a_kind_that_does_not_exist_is_told_by_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was put into the wrong line is not shown."""
    monkeypatch.setenv("REVOKER_PROVIDERS__WIBMO__KIND", MARKER)
    assert faults() == ["providers.wibmo: kind must be one of 'genesys', 'finbourne', 'wibmo', 'http', 'ssf'"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("brokerurl = 1", "brokerurl: unknown setting; did you mean broker_url?"),
        ("[retry]\nmax-attempts = 1", "retry.max-attempts: unknown setting; did you mean retry.max_attempts?"),
        ("[providers.eu]\nkind = 'finbourne'\ndomian = 'a'", "providers.eu.domian: unknown setting; did you mean"),
        ("[sources.a]\nsource = 'urn:a'\ntrusted = true\ntyps = []", "sources.a.typs: unknown setting; did you mean"),
    ],
)
def test_a_misspelt_line_of_the_toml_file_is_named_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, told: str
) -> None:
    """At the top and in every table."""
    (tmp_path / "r.toml").write_text(line)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert [fault for fault in faults() if fault.startswith(told)]


def test_a_missing_or_short_secret_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong and where, not what was given."""
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", MARKER[:20])
    assert [line.split(":")[0] for line in faults()] == ["subject_key"]
    monkeypatch.delenv("REVOKER_SUBJECT_KEY")
    assert [line.split(":")[0] for line in faults()] == ["subject_key"]


def test_the_environment_wins_over_secret_files_over_the_toml_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One order, the same for every setting."""
    (tmp_path / "r.toml").write_text('log_level = "DEBUG"\nenvironment = "toml"\nbroker_url = "amqps://toml"\n')
    secret(tmp_path / "secrets", "environment", "file")
    secret(tmp_path / "secrets", "broker_url", "amqps://file")
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    monkeypatch.setenv("REVOKER_SECRETS_DIR", "secrets")
    monkeypatch.setenv("REVOKER_BROKER_URL", "amqps://environment")
    settings = Settings.load()
    assert (settings.log_level, settings.environment) == ("DEBUG", "file")
    assert settings.broker_url.get_secret_value() == "amqps://environment"


def test_a_providers_secret_comes_from_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Named like the variable; the rest of the provider stands in the TOML file."""
    (tmp_path / "r.toml").write_text('[providers.eu]\nkind = "genesys"\nregion = "eu-west-1"\nclient_id = "c"\n')
    secret(tmp_path / "secrets", "providers__eu__client_secret", MARKER)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    monkeypatch.setenv("REVOKER_SECRETS_DIR", "secrets")
    settings = Settings.load()
    assert list(settings.catalogue().instances) == ["eu"]
    assert MARKER not in repr(settings)


@pytest.mark.parametrize("name", ["broker_url", "ledger_url"])
def test_a_url_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Redis is no broker of ours, MySQL no ledger; the password in such a URL is not shown."""
    monkeypatch.setenv(f"REVOKER_{name.upper()}", f"redis://:{MARKER}@localhost")
    assert [line.split(":")[0] for line in faults()] == [name]


@pytest.mark.parametrize("name", ["REVOKER_CONFIG_FILE", "REVOKER_SECRETS_DIR"])
def test_a_missing_file_or_folder_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A wrong path must not mean defaults."""
    monkeypatch.setenv(name, "nowhere")
    assert [line.split(":")[0] for line in faults()] == [name]


def test_a_broken_toml_file_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No stack trace, and nothing of its content."""
    (tmp_path / "r.toml").write_text(f'broker_url = "{MARKER}')
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert faults() == ["r.toml: Unterminated string (at line 1, column 51)"]


@pytest.mark.parametrize("name", ["Genesys", "9lives", "a" * 33, "a.b"])
def test_a_provider_is_named_as_events_name_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """A name that no event can carry would be configured in vain."""
    (tmp_path / "r.toml").write_text(f'[providers."{name}"]\nkind = "finbourne"\ndomain = "acme"\n')
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert "provider's name" in faults()[0]


@pytest.mark.parametrize("scheme", ["aes-ecb", "none"])
@pytest.mark.parametrize("accepted", [None, "aes-ecb", "none"])
def test_a_cipher_that_does_not_protect_starts_only_as_an_accepted_risk(
    monkeypatch: pytest.MonkeyPatch, scheme: str, accepted: str | None
) -> None:
    """Nobody runs ECB, or nothing at all, by leaving a setting out: `accept_risk` must name the very scheme."""
    wibmo = {"kind": "wibmo", "base_url": "https://wibmo.test", "api_key": MARKER}
    cipher = {"scheme": scheme, "key": "MDEyMzQ1Njc4OWFiY2RlZg==", **({"accept_risk": accepted} if accepted else {})}
    for name, value in {**wibmo, **{f"cipher__{name}": value for name, value in cipher.items()}}.items():
        monkeypatch.setenv(f"REVOKER_PROVIDERS__WIBMO__{name.upper()}", value)
    if accepted == scheme:
        assert Settings.load().providers["wibmo"].kind == "wibmo"
    else:
        assert [line for line in faults() if f"scheme {scheme} does not protect the body: accept_risk" in line]


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ('[sources.a]\nsource = "urn:a"\n', "sources.a"),
        ('[sources.a]\nsource = "urn:a"\ntrusted = true\nusers = ["u"]\n', "sources.a"),
        ('[sources.a]\nsource = "not a uri"\ntrusted = true\n', "sources.a.source"),
        ('[sources.a]\nsource = "urn:a"\ntrusted = true\ntypes = ["user.deleted"]\n', "sources.a.types.0"),
        ('[sources.a]\nsource = "urn:a"\ntrusted = true\nproviders = ["nobody"]\n', "sources.a.providers"),
        ("".join(f'[sources.{name}]\nsource = "urn:a"\ntrusted = true\n' for name in "ab"), "sources"),
    ],
)
def test_a_source_without_a_proof_or_a_limit_that_means_nothing_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sources: str, fault: str
) -> None:
    """Listed, and proved or named as trusted, not both; each source once; nothing that no event could be."""
    (tmp_path / "r.toml").write_text(sources)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert [line.split(":")[0] for line in faults()] == [fault]


MAY_ENABLE = '[sources.a]\nsource = "urn:a"\ntypes = ["user.enabled"]\n'


@pytest.mark.parametrize(("proof", "is_fit"), [("trusted = true", False), ('users = ["hr"]', True)])
def test_who_may_enable_users_proves_it_on_rabbitmq(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proof: str, *, is_fit: bool
) -> None:
    """Else whoever may publish keeps an intruder in. Whoever may write the embedded broker can do that anyway."""
    (tmp_path / "r.toml").write_text(f"{MAY_ENABLE}{proof}\n")
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert Settings.load().sources["a"].types == {"user.enabled"}
    monkeypatch.setenv("REVOKER_BROKER_URL", "amqp://127.0.0.1/")
    if is_fit:
        assert Settings.load().sources["a"].users
    else:
        [fault] = faults()
        assert fault.startswith("sources.a.types: ")
        assert "give the source `users` or `keys`" in fault


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("EU__CLIENT_SECRET", "providers.eu.client_secret"),
        ("EU__TLS__CA_FILE", "providers.eu.tls.ca_file"),
        ("EU__API_BASE_URL", "providers.eu.api_base_url"),
        ("GENESYS__TIMEOUT", "providers.genesys.timeout"),
        ("WIBMO__CIPHER__SCHEME", "providers.wibmo.cipher.scheme"),
        ("WIBMO__SUCCESS_CODES", "providers.wibmo.success_codes.0"),
    ],
)
def test_a_fault_within_a_provider_is_told_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    """Which member of a union pydantic took it for is no part of a name."""
    kind = "wibmo" if variable.startswith("WIBMO") else "genesys"
    monkeypatch.setenv(f"REVOKER_PROVIDERS__{variable.partition('__')[0]}__KIND", kind)
    monkeypatch.setenv(f"REVOKER_PROVIDERS__{variable}", "[1.5]" if "CODES" in variable else "no such thing")
    assert named in [line.split(": ")[0] for line in faults()]


@pytest.mark.parametrize("kind", ["genesys", "finbourne", "wibmo"])
def test_a_fault_of_a_whole_provider_names_the_provider_once(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Also one that is called like its kind."""
    monkeypatch.setenv(f"REVOKER_PROVIDERS__{kind.upper()}__KIND", kind)
    assert all(not line.startswith(f"providers.{kind}.{kind}") for line in faults())


@pytest.mark.parametrize("name", ["users", "types", "providers", "tenants", "issuers"])
@pytest.mark.parametrize("value", ["[]", '[""]'])
def test_a_limit_or_proof_that_names_nothing_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    """An empty variable in a template must not open a source to everything."""
    (tmp_path / "r.toml").write_text(f'[sources.a]\nsource = "urn:a"\nkeys = "keys.json"\n{name} = {value}\n')
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    assert {line.split(":")[0] for line in faults()} & {f"sources.a.{name}", f"sources.a.{name}.0"}


def numbers(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every number among the settings of *model*, by its variable; of a provider or source those of one called X."""
    for name, field in model.model_fields.items():
        variable = f"{above}{name.upper()}"
        if {float, int} & {field.annotation, *get_args(field.annotation)}:
            yield variable, field
        for each in inner_models(field.annotation):
            is_named = get_origin(field.annotation) is dict
            yield from numbers(each, f"{variable}__X__" if is_named else f"{variable}__")


def inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models within an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from inner_models(each)


NUMBERS = dict(numbers(Settings))


def test_the_numbers_are_found() -> None:
    """Those below a section and below a provider among them."""
    assert {"RETRY__CAP", "MAX_AGE__USER_DISABLED", "FLOOD__ENDED", "PROVIDERS__X__TIMEOUT"} <= NUMBERS.keys()


@in_one_test
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "100000000000", "-1"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_bounds_refuses_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Each has an end on both sides: what is beyond would crash where it is first used."""
    monkeypatch.setenv(f"REVOKER_{name}", value)
    if name.startswith("PROVIDERS"):
        monkeypatch.setenv("REVOKER_PROVIDERS__X__KIND", "finbourne")
        monkeypatch.setenv("REVOKER_PROVIDERS__X__DOMAIN", "acme")
    if name.startswith("DOORS"):
        needed = {"KIND": "global-token-revocation", "ISSUER": "urn:i", "AUDIENCE": "urn:a", "JWKS_FILE": "keys"}
        for member, given in needed.items():
            monkeypatch.setenv(f"REVOKER_DOORS__X__{member}", given)
    if name.startswith("CONSOLE__OIDC"):
        needed = {"ISSUER": "https://id.example.com", "CLIENT_ID": "console", "ROLES": '{"staff": "viewer"}'}
        for member, given in needed.items():
            monkeypatch.setenv(f"REVOKER_CONSOLE__OIDC__{member}", given)
    assert [line.split(":")[0] for line in faults()] == [name.lower().replace("__", ".")]
