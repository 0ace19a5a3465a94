"""What to try next, in another terminal, with the very paths that work there."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final

from worker.demo.state_dir import CONFIG
from worker.process import PYTHON
from worker.settings.files import CONFIG_FILE, DEFAULT_CONFIG_FILE
from worker.settings.names import PREFIX

PERSON: Final = "peter.naur@example.com"  # of the samples; his token waits for a replay


def next_steps(folder: Path) -> str:
    """Three commands to try while the run stays up."""
    revoker = _command(folder)
    others = sorted(name for name in os.environ if name.startswith(PREFIX) and name != CONFIG_FILE)
    also = f" (set there, too: {', '.join(others)})" if others else ""
    return f"""
Everything stays up until Ctrl-C. Try next, in another terminal{also}:
  {revoker} explain {PERSON}
  {revoker} dlq list
  {revoker} dlq replay --dry-run --died-of auth.forbidden
"""


def _command(folder: Path) -> str:
    """`revoker` as installed beside this interpreter, with the configuration that it would not find by itself."""
    script = Path(sys.executable).parent / "revoker"
    command = shlex.quote(_near(script)) if script.exists() else shlex.join([*PYTHON, "worker.cli"])
    config = folder / CONFIG
    if config == DEFAULT_CONFIG_FILE.absolute():
        return command
    return f"{CONFIG_FILE}={shlex.quote(_near(config))} {command}"


def _near(path: Path) -> str:
    """*path* as seen from the working directory, where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
