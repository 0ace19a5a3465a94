"""Which of its sources a setting came from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from worker.settings.files import SECRETS_DIR, config_file, read_document
from worker.settings.names import PREFIX


@dataclass(frozen=True, slots=True)
class Origins:
    """The places settings come from, read once, in the order of their precedence."""

    variables: frozenset[str]
    secrets: frozenset[str]
    document: Mapping[str, Any]
    document_name: str

    @classmethod
    def now(cls) -> Self:
        """The places as they are now; the settings were loaded from them, so they can be read."""
        folder, file = os.environ.get(SECRETS_DIR), config_file()
        return cls(
            frozenset(name.upper() for name in os.environ if name.startswith(PREFIX)),
            frozenset(each.name.lower() for each in Path(folder).iterdir()) if folder else frozenset(),
            read_document(file) if file else {},
            str(file),
        )

    def of(self, path: tuple[str, ...]) -> str:
        """Where the setting at *path* came from."""
        for depth in range(len(path), 0, -1):  # a variable or file may hold a whole section as JSON
            name = "__".join(path[:depth])
            if f"{PREFIX}{name}".upper() in self.variables:
                return f"{PREFIX}{name}".upper()
            if name.lower() in self.secrets:
                return f"secret file {name}"
        return self.document_name if _holds(self.document, path) else "default"


def _holds(document: object, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True
