"""What is imported is declared: nothing works only because something else happens to need it, too."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
OURS = {"tasks", "worker"}


def normal(name: str) -> str:
    """The name of a distribution, as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, Path]:
    """Every foreign module that `tasks` or `worker` imports, by its first part, and one file that does."""
    found: dict[str, Path] = {}
    for file in [file for folder in OURS for file in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            found.update((name.partition(".")[0], file) for name in _names(node))
    return {name: file for name, file in found.items() if name not in OURS | sys.stdlib_module_names}


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (each.name for each in names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module


_PROJECT = tomllib.loads(PYPROJECT)["project"]
NEEDED: list[str] = _PROJECT["dependencies"]
DECLARED = {
    normal(match[1]): line
    for line in [
        *NEEDED,
        *_PROJECT["optional-dependencies"]["otel"],
        *(each for extra in ("scim", "ldap") for each in _PROJECT["optional-dependencies"][extra]),
    ]
    if (match := re.match(r"([\w.-]+)", line))
}
EXTRA = {
    "ldap": "directory",
    "opentelemetry": "tracing",
    "pyasn1": "directory",
    "requests": "tracing",
    "scim2_models": "scim",
    "scim2_server": "scim",
}  # modules of an extra → the folder that imports them


@pytest.mark.parametrize(("name", "file"), sorted(imported().items()))
def test_what_is_imported_is_declared(name: str, file: Path) -> None:
    """By the distribution that brings the module."""
    distributions = {normal(each) for each in packages_distributions().get(name, [])}
    assert distributions & DECLARED.keys(), f"{file.relative_to(ROOT)} imports {name}, which pyproject does not name"


def test_what_is_declared_is_imported() -> None:
    """But for what is found by name at run time."""
    brought = {normal(each) for name in imported() for each in packages_distributions().get(name, [])}
    assert DECLARED.keys() - brought == set()


def test_each_dependency_has_its_reason() -> None:
    """A comment on its line."""
    block = PYPROJECT.partition("\ndependencies = [\n")[2].partition("\n]")[0]
    assert len(block.splitlines()) == len(NEEDED)
    assert [line for line in block.splitlines() if not re.search(r'",\s+# \S', line)] == []


def test_only_engine_and_broker_know_the_inside_of_celery_kombu_and_pyamqp() -> None:
    """Everybody else uses their public names, and py-amqp not at all."""
    found = {
        (str(file.relative_to(ROOT)), module, name)
        for file in ROOT.glob("worker/**/*.py")
        if file.relative_to(ROOT).parts[1] not in {"engine", "broker"}
        for module, name in _imports(file)
        if module.partition(".")[0] in {"amqp", "billiard"}
        or (module.partition(".")[0] in {"celery", "kombu"} and "_" in {name[0], module.partition(".")[2][:1]})
    }
    assert found == set()


def test_what_an_extra_brings_is_imported_in_one_place() -> None:
    """Everything else works without it."""
    files = ROOT.glob("worker/**/*.py"), ROOT.glob("tasks/**/*.py")
    found = {
        (str(file.relative_to(ROOT)), module)
        for file in [each for group in files for each in group]
        for module, _ in _imports(file)
        if (folder := EXTRA.get(module.partition(".")[0])) and file.parent.name != folder
    }
    assert found == set()


def _imports(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((module, each.name) for each in names)
            case ast.Import(names=names):
                yield from ((each.name, each.name) for each in names)
