"""The compose file and what `docker/prepare` makes for it: well-formed, complete, and for its owner alone."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml
from deployments import COMPOSE, DOCKER, PROCESSES, ROOT
from in_one_test import in_one_test

from tasks.events.drafts import finish_draft, read_draft
from tasks.sealing import generate_key, seal
from worker.observability.monitoring import PORTS
from worker.settings import Settings


def test_the_compose_file_has_the_shape_that_the_specification_asks_for() -> None:
    """The schema is that of the Compose Specification."""
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder docker/ after `docker/prepare sandbox cluster doors`."""
    folder = tmp_path_factory.mktemp("prepared") / "docker"
    shutil.copytree(DOCKER, folder, ignore=shutil.ignore_patterns("secrets", "keys", "console", ".env"))
    subprocess.run([folder / "prepare", "sandbox", "cluster", "doors"], check=True, capture_output=True)
    return folder


def test_every_service_of_ours_finds_the_settings_that_it_needs(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secrets under the names that the compose file gives them; each process is a broker user of its own."""
    users = {}
    for name, service in COMPOSE["services"].items():
        if service["image"] == "revoker" and name != "sandbox":
            folder = prepared / "of" / name
            folder.mkdir(parents=True)
            files = {"/run/secrets": str(folder), "/etc/revoker/revoker.toml": str(prepared / "sandbox.toml")}
            for secret in service["secrets"]:
                source, target = (secret["source"], secret["target"]) if isinstance(secret, dict) else (secret, secret)
                file = prepared / COMPOSE["secrets"][source]["file"]
                if target.startswith("/"):
                    files[target] = str(file)
                else:
                    shutil.copy(file, folder / target)
            with monkeypatch.context() as patch:
                for variable, value in service["environment"].items():
                    patch.setenv(variable, files.get(value, value))
                users[name] = Settings.load().broker_url.get_secret_value().partition("://")[2].partition(":")[0]
    assert {name: users[name] for name in PROCESSES} == {name: name for name in PROCESSES} | {
        "console": "operator",
        "sweep": "door",
    }
    assert (users["declare"], users["samples"]) == ("operator", "producer")


def test_what_is_prepared_is_for_its_owner_alone(prepared: Path) -> None:
    """But for the passwords of two servers that read them as users of their own, in a folder that is closed."""
    modes = {each.name: each.stat().st_mode & 0o777 for each in (prepared / "secrets").iterdir()}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"postgres_password", "grafana_password"}
    assert (prepared / "secrets").stat().st_mode & 0o777 == 0o700
    assert {each["file"] for each in COMPOSE["secrets"].values()} == {f"./secrets/{name}" for name in modes}


def test_nothing_prepared_is_overwritten(prepared: Path) -> None:
    """The data of the servers know the passwords of the first time."""
    before = (prepared / "secrets/subject_key").read_bytes()
    again = subprocess.run([prepared / "prepare"], check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "remove them to start anew" in again.stderr
    assert (prepared / "secrets/subject_key").read_bytes() == before


def test_the_settings_for_your_own_providers_are_fit(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are, without any."""
    for name in ("broker_url_worker", "ledger_url", "subject_key"):
        monkeypatch.setenv(f"REVOKER_{name.removesuffix('_worker').upper()}", (prepared / "secrets" / name).read_text())
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(prepared / "revoker.toml"))
    assert Settings.load().providers == {}


def test_every_sample_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of providers that the sandbox's settings name."""
    monkeypatch.setenv("REVOKER_CONFIG_FILE", str(DOCKER / "sandbox.toml"))
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", "k" * 32)
    key = generate_key("test-key")
    for line in (DOCKER / "samples.jsonl").read_text().splitlines():
        event = finish_draft(read_draft(line), lambda token, provider: seal(token, provider, key), "urn:revoker:cli")
        data = event.document["data"]
        named = {*data.get("accounts", {}), *(each["provider"] for each in data.get("sessions", []))}
        assert named <= Settings.load().providers.keys()


def test_what_is_mounted_is_there() -> None:
    """Of the repository, but for what `docker/prepare` makes; and Prometheus asks what the services answer."""
    volumes = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    named = {volume.replace("${REVOKER_TOML:-./revoker.toml}", "./revoker.toml").split(":")[0] for volume in volumes}
    made = {"./keys", "./console"}
    files = {each for each in named if each.startswith(".")} - made
    assert [each for each in files if not (DOCKER / each).exists()] == []
    assert named - files - made == COMPOSE["volumes"].keys()
    asked = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())["scrape_configs"]
    [targets] = [each["static_configs"][0]["targets"] for each in asked if each["job_name"] == "revoker"]
    assert targets == [f"{name}:{PORTS[name]}" for name in PROCESSES]
    assert "--config.file=/etc/prometheus/prometheus.yaml" in COMPOSE["services"]["prometheus"]["command"]


@in_one_test
@pytest.mark.parametrize("image", [each["image"] for each in COMPOSE["services"].values()])
def test_every_image_is_of_one_version(image: str) -> None:
    """Ours is built; a tag that moves on would change the installation by itself."""
    assert image == "revoker" or re.search(r":v?\d+\.\d+(\.\d+)?$", image)


def test_the_base_image_is_pinned_by_its_digest() -> None:
    """In one place, for both stages."""
    text = (DOCKER / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON}"] * 2
