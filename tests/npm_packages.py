"""Packages of npm that examples need: their archives lie beside this module, and a lock file says their hashes."""

import base64
import hashlib
import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

ARCHIVES: Final = Path(__file__).parent / "npm"


def install(lock: Path, folder: Path) -> None:
    """Do in *folder* what `npm ci` would do with the file *lock*, without npm and without a network."""
    packages = json.loads(lock.read_text())["packages"]
    for place, package in packages.items():
        if place:  # the first one is the project itself
            name = place.removeprefix("node_modules/")
            content = (ARCHIVES / f"{name}-{package['version']}.tgz").read_bytes()
            digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
            assert package["integrity"] == f"sha512-{digest}", f"{name} is not what {lock} names"
            _unpack(content, folder / place)


def _unpack(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]  # each path begins with `package/`
            archive.extract(member, folder, filter="data")
