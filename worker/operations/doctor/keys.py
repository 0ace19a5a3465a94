"""Keys: those that tokens are sealed with, and those that sources sign with."""

import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tasks.sealing import KeyRing, SealError, SealingKey, seal
from tasks.sealing.keys import read_keys
from worker import broker
from worker.intake.signing import SigningKeyError
from worker.intake.signing import read_keys as read_signing_keys
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.topology import named
from worker.settings import Settings
from worker.settings.sections import SourceSettings

AUDIENCE: Final = "doctor"  # no provider: what is sealed here opens no door


def examine_sealing(settings: Settings) -> Iterator[Finding]:
    """Whether each private key opens what its public half seals."""
    folder = settings.keys_dir
    try:
        keys = read_keys(folder)
        ring = KeyRing(keys)
        wrong = [str(key.kid) for key in keys if not _opens(ring, key)]
    except (SealError, OSError) as error:
        yield Finding("keys.sealing", "failed", _told(error))
        return
    if not keys:
        yield Finding("keys.sealing", "failed", f"no key in {folder}")
    elif wrong:
        yield Finding("keys.sealing", "failed", f"does not open what it seals: {named(wrong)}")
    else:
        yield Finding("keys.sealing", "ok", f"opened what it sealed: {named([str(key.kid) for key in keys])}")


def _opens(ring: KeyRing, key: SealingKey) -> bool:
    token = secrets.token_urlsafe(32)
    return ring.open(seal(token, AUDIENCE, key), AUDIENCE).get_secret_value() == token


def examine_sources(settings: Settings) -> Iterator[Finding]:
    """Whether the keys of each source can be read by us, and written by nobody else; and whom we can let in at all."""
    for name, source in settings.sources.items():
        if source.keys:
            yield _signing(name, source.keys)
    yield _sources(settings)


def _signing(name: str, path: Path) -> Finding:
    try:
        keys, mode = read_signing_keys(path), path.stat().st_mode
    except (SigningKeyError, OSError) as error:
        return Finding("keys.signing", "failed", _told(error), about=name)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        remedy = "set its mode to 0644 or less: whoever writes it can speak as this source"
        return Finding("keys.signing", "failed", f"{path.name}: may be written by others", remedy, name)
    return Finding("keys.signing", "ok", f"read: {named(sorted(keys))}", about=name)


def _sources(settings: Settings) -> Finding:
    is_embedded = broker.is_embedded(settings.broker_url.get_secret_value())
    unprovable = [name for name, each in settings.sources.items() if is_embedded and each.users]
    if unprovable:
        return Finding("sources", "failed", f"the embedded broker proves no `users`: {named(unprovable)}")
    if not settings.sources and not is_embedded:
        return Finding("sources", "warning", "none is configured: every event becomes a dead letter")
    told = ", ".join(f"{name} by {_proof(each)}" for name, each in settings.sources.items())
    return Finding("sources", "ok", told or "none is listed: the embedded broker lets everybody in")


def _proof(source: SourceSettings) -> str:
    proofs = [word for word, is_asked in (("user", source.users), ("signature", source.keys)) if is_asked]
    doors = ["a door"] if source.doors else []
    return " or ".join([*([" and ".join(proofs)] if proofs else []), *doors]) or "trust"


def _told(error: Exception) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
