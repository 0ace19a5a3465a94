"""The catalogue: each table loads once it is filled in, and passes its trial; none loads before."""

import re
import tomllib
from datetime import date
from typing import Any

import pytest
from calls import API_KEY
from joserfc.jwk import ECKey
from pydantic import ValidationError

from tasks.providers.declared import HttpSettings
from worker.operations import RefusedRequest, catalogue
from worker.operations.provider_trial import tried

LONGEST = 34  # lines, comments apart: 25, and a row and an example for each way in which a vendor fails


def filled_in(name: str) -> dict[str, Any]:
    """Return the table *name* with a word for each blank, and a secret."""
    text = re.sub(r"<[a-z ]+>", "example", catalogue.table(name, "mine"))
    table: dict[str, Any] = tomllib.loads(text)["providers"]["mine"]
    return {**table, "auth": {**table["auth"], **secret_of(table["auth"]["scheme"])}}


def secret_of(scheme: str) -> dict[str, str]:
    """Return what the secret file of *scheme* would hold."""
    if scheme in {"private_key_jwt", "jwt_bearer", "signed_jwt"}:
        return {"private_key": ECKey.generate_key("P-256").as_pem(private=True).decode()}
    names = {"header": "api_key", "basic": "password", "aws_sigv4": "secret_access_key"}
    return {names.get(scheme, "client_secret"): API_KEY}


@pytest.mark.parametrize("name", catalogue.names())
def test_a_table_of_the_catalogue_passes_its_trial(name: str) -> None:
    """With its source and, where somebody compared it with that, the day."""
    settings = HttpSettings.model_validate(filled_in(name))
    assert [each for each in tried(settings) if not each.is_ok] == []
    assert settings.source
    assert settings.checked is None or date.fromisoformat(settings.checked) >= date(2026, 11, 27)
    lines = [line for line in catalogue.table(name, "mine").splitlines() if line and not line.startswith("#")]
    assert len(lines) <= LONGEST


def test_what_is_not_filled_in_is_refused() -> None:
    """By the setting's name."""
    table = filled_in("okta") | {"base_url": "https://<domain>.okta.com"}
    with pytest.raises(ValidationError, match="base_url"):
        HttpSettings.model_validate(table)


def test_an_unknown_table_is_told_those_that_there_are() -> None:
    """A typo is no table."""
    with pytest.raises(RefusedRequest, match="okta, "):
        catalogue.table("okto", "mine")
