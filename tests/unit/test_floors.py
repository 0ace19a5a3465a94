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
    """A new folder must say where it stands."""
    found = {
        f"worker.{path.stem}"
        for path in (ROOT / "worker").iterdir()
        if (path.is_dir() or path.suffix == ".py") and not path.name.startswith("__")
    }
    named = [name for floor in LAYERS for name in re.split(r" [|:] ", floor)]
    assert sorted(named) == sorted({*found, "tasks"})
