"""The last release, as its wheel has it: run beside this one, on the same broker and the same ledger.

Its code stands before ours on the path of the process; what it depends on is what we depend on. With each release the
wheel in `releases/` is replaced: `pip wheel . --no-deps`.
"""

import zipfile
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from servers import Daemon, Processes
from system import write_settings

[WHEEL] = (Path(__file__).parent / "releases").glob("*.whl")
UNKNOWN: tuple[str, ...] = ("monitoring",)  # sections of ours that it does not know yet


class LastRelease:
    """Starts the programs of the last release, unpacked in the new folder *home*."""

    def __init__(self, home: Path, processes: Processes) -> None:
        home.mkdir()
        self._home, self._processes = home, processes
        with zipfile.ZipFile(WHEEL) as wheel:
            wheel.extractall(home / "code")

    def start(self, document: dict[str, Any], *names: str) -> list[Daemon]:
        """Start the named processes with the settings *document*."""
        env = self._env(document)
        return [self._processes.start(*_program(name), env=env, name=f"old-{name}") for name in names]

    def run(self, document: dict[str, Any], *arguments: str) -> CompletedProcess[str]:
        """Run its `revoker` with *arguments*."""
        done = self._processes.run(*_program(*arguments), env=self._env(document))
        assert done.returncode == 0, done.stderr
        return done

    def _env(self, document: dict[str, Any]) -> dict[str, str]:
        known = {name: value for name, value in document.items() if name not in UNKNOWN}
        file = write_settings(self._home, known)
        return {"REVOKER_CONFIG_FILE": str(file), "PYTHONPATH": str(self._home / "code")}


def _program(*arguments: str) -> tuple[str, ...]:
    return "python", "-P", "-m", "worker.cli", *arguments
