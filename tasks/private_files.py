"""Files of secrets: made for their owner alone, and which of them others can read."""

import os
import stat
from pathlib import Path
from typing import Final

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"  # systemd.exec(5): where LoadCredential= puts the files of a unit
WANTED: Final = "set its mode to 0600"

_PRIVATE: Final = 0o600
_OF_OTHERS: Final = 0o077
_HANDED_OVER: Final = 0o440


def create_private(path: Path) -> int:
    """Return a descriptor of the new file *path*, which its owner alone may read and write. Raises FileExistsError."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE)


def is_open_to_others(path: Path, status: os.stat_result) -> bool:
    """Whether others than its owner may touch the file *path*, whose state is *status*.

    Mode 0440 is private where somebody else wrote the file for this process alone. A pod with `fsGroup` gets its
    secrets as root's, readable by that group (kubernetes.io, "Configure a Security Context"); a systemd unit with
    `User=` gets its credentials by an ACL, whose mask shows as the group's bits (systemd.exec(5), LoadCredential=).
    """
    mode = stat.S_IMODE(status.st_mode)
    if mode != _HANDED_OVER:
        return bool(mode & _OF_OTHERS)
    is_of_root_for_us = status.st_uid == 0 and os.geteuid() != 0
    folder = os.environ.get(CREDENTIALS)
    is_credential = bool(folder) and path.resolve().is_relative_to(Path(str(folder)).resolve())
    return not (is_of_root_for_us or is_credential)
