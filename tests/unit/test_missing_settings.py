"""A setting that is missing names itself, says what it is for and each way to set it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_one_test import in_one_test
from pydantic import BaseModel
from starting import faults, without_settings

from tasks.providers import KINDS
from worker.settings import Settings
from worker.settings.sections import SourceSettings
from worker.settings.toml import toml_lines


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("REVOKER_CONFIG_FILE", "r.toml")
    (tmp_path / "r.toml").touch()


def test_a_missing_secret_says_what_it_is_for_and_each_way_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By file first: that is where a secret belongs."""
    monkeypatch.delenv("REVOKER_SUBJECT_KEY")
    assert faults() == [
        (
            "subject_key: is missing (Key of the subject index, 32 characters or more: keep it, look-ups and the audit "
            "need it). "
            'Set the secret file subject_key, the variable REVOKER_SUBJECT_KEY or subject_key = "…" in the TOML file; '
            "`revoker init` writes it"
        )
    ]


def test_what_is_no_secret_is_set_by_its_line_of_the_table_or_its_variable(tmp_path: Path) -> None:
    """The table is named as it stands in the file."""
    (tmp_path / "r.toml").write_text("[sources.jobs]\ntrusted = true\n")
    assert faults() == [
        (
            "sources.jobs.source: is missing (The `source` of its events). Set the variable "
            'REVOKER_SOURCES__JOBS__SOURCE or source = "…" in the TOML file, below [sources.jobs]; '
            "`revoker init` writes it"
        )
    ]


def test_a_provider_without_a_kind_is_told_the_kinds(tmp_path: Path) -> None:
    """Which settings it has, its kind decides: so that comes first."""
    (tmp_path / "r.toml").write_text("[providers.eu]\nregion = 'eu-west-1'\n")
    [line] = faults()
    assert line.startswith("providers.eu.kind: is missing (one of genesys, finbourne, wibmo, http, ssf). Set the var")


def test_a_missing_section_is_named_by_its_table(tmp_path: Path) -> None:
    """It has no value of its own."""
    (tmp_path / "r.toml").write_text("[providers.w]\nkind = 'wibmo'\n")
    assert (
        "providers.w.cipher: is missing (How request and answer are encrypted). "
        "Set [providers.w.cipher] in the TOML file; `revoker init` writes it"
    ) in faults()


def required(model: type[BaseModel], table: str) -> Iterator[tuple[str, str]]:
    """Every setting of *model* that must be set, with its table."""
    yield from ((table, name) for name, field in model.model_fields.items() if field.is_required())


@in_one_test
@pytest.mark.parametrize(
    ("table", "name"),
    [
        *required(Settings, ""),
        *required(SourceSettings, "sources.x"),
        *(each for kind in KINDS.values() for each in required(kind.settings, f"providers.{kind.name}")),
    ],
)
def test_every_required_setting_has_a_purpose_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, name: str
) -> None:
    """The one home of its purpose is its field."""
    monkeypatch.delenv("REVOKER_SUBJECT_KEY", raising=False)
    top, _, given = table.partition(".")
    document: dict[str, Any] = {top: {given: {"kind": given} if top == "providers" else {}}} if top else {}
    (tmp_path / "r.toml").write_text("\n".join(toml_lines(document)))
    path = f"{table}.{name}".strip(".")
    [line] = [line for line in faults() if line.startswith(f"{path}: is missing (")]
    assert "()" not in line
