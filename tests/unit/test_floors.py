"""The floor plan in pyproject.toml leaves nothing out: import-linter checks only what has a floor."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
[LAYERS] = [
    each["layers"]
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if each["type"] == "layers"
]


def test_every_part_of_the_worker_has_one_floor() -> None:
    """A new folder must say where it stands. What a checkout leaves of one that is gone is none: it holds no source."""
    sources = [path for path in (ROOT / "worker").rglob("*.py") if not path.name.startswith("__")]
    found = {f"worker.{path.relative_to(ROOT / 'worker').parts[0].removesuffix('.py')}" for path in sources}
    named = [name for floor in LAYERS for name in re.split(r" [|:] ", floor)]
    assert sorted(named) == sorted({*found, "tasks"})
