"""What the doctor finds once the files are written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from worker.operations.doctor import Finding, diagnose
from worker.operations.setup.layout import Layout
from worker.settings.files import CONFIG_FILE, SECRETS_DIR


def examine(layout: Layout) -> Iterator[Finding]:
    """The findings with the settings below *layout* in force, as they are for an operator."""
    with _in_force({CONFIG_FILE: str(layout.config), SECRETS_DIR: str(layout.secrets_of())}):
        yield from diagnose()


@contextmanager
def _in_force(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
