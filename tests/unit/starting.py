"""A start of the product with nothing set but the subject key, and what refuses it."""

import os
from pathlib import Path

import pytest

from worker.settings import Settings, SettingsError

MARKER = "value-that-nobody-may-see-0123456789"


def without_settings(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Work in *folder*, with no variable of ours but the subject key."""
    for name in [name for name in os.environ if name.upper().startswith("REVOKER")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REVOKER_SUBJECT_KEY", "k" * 32)


def faults() -> list[str]:
    """The lines that refuse the start."""
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert MARKER not in str(refused.value)
    assert refused.value.__cause__ is None
    return str(refused.value).splitlines()


def secret(folder: Path, name: str, value: str | bytes, mode: int = 0o600) -> Path:
    """A secret in a file of its own."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(value if isinstance(value, bytes) else value.encode())
    (folder / name).chmod(mode)
    return folder / name
