"""Files: who else may read or write them, until when our certificates are valid, how much room the disks have."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from tasks.private_files import is_open_to_others
from tasks.tls import TlsSettings
from worker.operations.config import secrets_in_document
from worker.operations.doctor.certificates import validity
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.places import broker_file, ledger_file
from worker.operations.doctor.topology import named
from worker.settings import Settings
from worker.settings.files import config_file, secrets_folder

LITTLE_ROOM: Final = 1_073_741_824  # bytes; a million dead letters take about as many
NO_ROOM: Final = 134_217_728  # bytes; the log beside a file of SQLite alone may take half of it
MEGABYTE: Final = 1_048_576


def examine_modes(settings: Settings) -> Iterator[Finding]:
    """Whether somebody else could read a secret or a person's name, or change what we do."""
    faults = [*_of_readers(settings), *_of_writers(settings)]
    yield from (Finding("files.modes", "failed", fault, remedy) for fault, remedy in faults)
    if not faults:
        yield Finding("files.modes", "ok", "nobody else reads or writes what is ours")


def _of_readers(settings: Settings) -> Iterator[tuple[str, str]]:
    document = config_file()
    private = [file for file in (broker_file(settings), ledger_file(settings)) if file]
    if document and (held := secrets_in_document(settings)) and _is_open(document):
        yield f"{document} holds {named(held)}, and others can read it", "set its mode to 0600, or use secret files"
    for file in private:
        if _is_open(file):
            yield f"{file} can be read by others", ""


def _of_writers(settings: Settings) -> Iterator[tuple[str, str]]:
    for path in filter(None, (config_file(), secrets_folder(), settings.keys_dir)):
        mode = path.stat().st_mode if path.exists() else 0
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield f"{path} can be written by everybody", "take write permission from everybody: chmod o-w"


def _is_open(file: Path) -> bool:
    return file.exists() and is_open_to_others(file, file.stat())


def examine_certificates(settings: Settings) -> Iterator[Finding]:
    """Until when the certificates are valid that we show, to the broker and to providers."""
    ours = {"broker_tls": settings.broker_tls, **{name: each.tls for name, each in settings.providers.items()}}
    for name, tls in ours.items():
        if tls.certificate_file:
            yield _validity(name, tls)


def _validity(name: str, tls: TlsSettings) -> Finding:
    assert tls.certificate_file is not None, "asked before"  # noqa: S101
    try:
        [certificate, *_] = x509.load_pem_x509_certificates(tls.certificate_file.read_bytes())
    except (OSError, ValueError):
        return Finding("files.certificates", "failed", f"{tls.certificate_file.name}: holds no certificate", about=name)
    return validity("files.certificates", certificate.not_valid_after_utc, name)


def examine_room(settings: Settings) -> Iterator[Finding]:
    """The room on the disk of each file that we keep state in."""
    for file in filter(None, (broker_file(settings), ledger_file(settings))):
        folder = next(each for each in file.absolute().parents if each.exists())
        yield room_finding(str(file), os.statvfs(folder))


def room_finding(file: str, disk: os.statvfs_result) -> Finding:
    """Whether *disk*, on which *file* is, has room for what may come in a day."""
    free = disk.f_bavail * disk.f_frsize
    is_without_inodes = bool(disk.f_files) and not disk.f_favail
    told = "no file can be made on its disk" if is_without_inodes else f"{free // MEGABYTE} MB free"
    if free < NO_ROOM or is_without_inodes:
        return Finding("disk.room", "failed", told, about=file)
    return Finding("disk.room", "warning" if free < LITTLE_ROOM else "ok", told, about=file)
