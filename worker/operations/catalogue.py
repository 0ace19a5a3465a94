"""The catalogue: tables of providers that people have, to be filled in by whoever has one."""

from importlib.resources import files
from typing import Final

from worker.operations import RefusedRequest

_FOLDER: Final = files("tasks.providers.declared") / "catalogue"
_NAME: Final = "providers.NAME"


def names() -> list[str]:
    """Return the names of the tables."""
    return sorted(each.name.removesuffix(".toml") for each in _FOLDER.iterdir() if each.name.endswith(".toml"))


def table(name: str, instance: str) -> str:
    """Return the table *name* as the section of the provider *instance*. Raises RefusedRequest for an unknown one."""
    if name not in names():
        raise RefusedRequest(f"the catalogue has no {name}: it has {', '.join(names())}")
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return text.replace(_NAME, f"providers.{instance}").replace("providers__NAME", f"providers__{instance}")
