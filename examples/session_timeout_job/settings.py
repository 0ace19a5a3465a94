"""The job's settings: one JSON file, which holds secrets and is therefore its owner's alone."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

OPEN_TO_OTHERS = 0o077
ENCRYPTED = {"broker_url": "amqps", "genesys_api_url": "https", "genesys_login_url": "https"}


class SettingsError(Exception):
    """The settings cannot serve; the text names the setting and never its value."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says; the names of files in it are relative to its folder."""

    store_url: str
    broker_url: str
    source: str
    jwks_file: str
    signing_key_file: str
    genesys_api_url: str
    genesys_login_url: str
    genesys_client_id: str
    genesys_client_secret: str

    def __repr__(self) -> str:
        return "Settings(…)"  # nearly all of it is secret

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read *file*. Raises SettingsError."""
        if file.stat().st_mode & OPEN_TO_OTHERS:
            raise SettingsError(f"{file.name}: holds secrets and is open to others; chmod 600 {file.name}")
        document = _document(file)
        wanted = [field.name for field in fields(cls)]
        for name in {*wanted, *document}:
            if name not in wanted or not (isinstance(document.get(name), str) and document[name]):
                raise SettingsError(f"{file.name}: {name} must be a text" if name in wanted else f"{name} is unknown")
        for name, scheme in ENCRYPTED.items():
            if not is_safe(document[name], scheme):
                raise SettingsError(f"{file.name}: {name} must start with {scheme}://")
        paths = {name: str(file.parent / document[name]) for name in ("jwks_file", "signing_key_file")}
        return cls(**{**document, **paths})


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except ValueError:
        document = None  # an exception's text would hold what it could not read
    if not isinstance(document, dict):
        raise SettingsError(f"{file.name}: must hold one JSON object")
    return document


def is_safe(url: str, scheme: str) -> bool:
    """Whether a secret may be sent to *url*: over TLS, or without leaving this machine."""
    parts = urlsplit(url)
    return parts.scheme == scheme or (f"{parts.scheme}s" == scheme and parts.hostname in {"127.0.0.1", "localhost"})
