"""What an operator can do is a function of `operations/`: the command line parses, asks and prints."""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import click
import pytest

from worker import cli, operations
from worker.cli import main

CLI = Path(cli.__file__).parent
OPERATIONS = Path(operations.__file__).parent
PROCESSES = {"intake", "recorder", "worker", "door", "sweep", "sandbox", "run"}  # each is a program, and no change
READING = {
    "audit list",
    "audit verify",
    "config show",
    "console sessions list",
    "console users list",
    "dead-letter causes",
    "dead-letter export",
    "dead-letter jobs list",
    "dead-letter jobs show",
    "dead-letter list",
    "dead-letter show",
    "doctor",
    "explain",
    "exposure",
    "ldap list",
    "flood list",
    "genesys idle-timeout get",
    "genesys token-info",
    "genesys verify",
    "health",
    "keys export",
    "keys list",
    "plan",
    "provider check",
    "provider add",
    "provider jwks",
    "provider list",
    "provider test",
    "streams list",
    "topology permissions",
}
HANDLES = {"ledger", "publisher"}  # opened for a command, and handed on as they are
BELOW = ("worker.ledger", "worker.broker", "worker.calls", "worker.intake", "worker.database", "worker.recorder")

USE_CASE = """
@flood.command()
@changes(floods.discard)
def discard(chosen, change):
    with open_ledger(Settings.load()) as ledger:
        {}
"""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below *group*, by what an operator types; `dlq` is another name."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name)) if name != "dlq" else ()
        elif command is not None:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(main))
# They ask for no reason. Those that a ledger knows of are in its audit all the same, with who did it.
WITHOUT_REASON = {"init", "keys generate", "keys generate-signing", "ledger upgrade", "publish", "topology declare"}
CHANGING = sorted(COMMANDS.keys() - READING - PROCESSES)
SOURCES = {path: path.read_text() for path in sorted(CLI.rglob("*.py"))}


def operation_of(name: str) -> Callable[..., object] | None:
    """The operation that a command declares to be a call of."""
    found: Callable[..., object] | None = getattr(COMMANDS[name].callback, "operation", None)
    return found


def faults_of(source: str) -> list[str]:
    """Where *source* of the command line does what only an operation may do."""
    return [
        f"{node.value.id}.{node.attr}, line {node.lineno}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in HANDLES
    ]


def calls_in(module: Any, callback: Callable[..., object]) -> Iterator[Callable[..., object]]:
    """Every operation that *callback* calls, itself or by the functions of its own module that it calls."""
    functions = {
        node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)
    }
    left, seen = [inspect.unwrap(callback).__name__], set[str]()
    while left:
        name = left.pop()
        seen.add(name)
        for node in (each for part in functions[name].body for each in ast.walk(part)):
            if isinstance(node, ast.Call):
                found = _named(module, node.func)
                if str(getattr(found, "__module__", "")).startswith("worker.operations."):
                    yield found
                if isinstance(node.func, ast.Name) and node.func.id in functions.keys() - seen:
                    left.append(node.func.id)


def _named(module: Any, expression: ast.expr) -> Any:
    """What *expression* names in *module*: a name, or a name in another module."""
    match expression:
        case ast.Name(id=name):
            return getattr(module, name, None)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return getattr(getattr(module, name, None), attribute, None)
    return None


def test_every_command_reads_or_is_a_process_or_declares_its_operation() -> None:
    """A new command that changes something cannot be forgotten."""
    assert COMMANDS.keys() >= READING | PROCESSES
    assert [name for name in CHANGING if operation_of(name) is None] == []
    assert [name for name in READING | PROCESSES if operation_of(name) is not None] == []


def test_a_change_asks_for_a_reason() -> None:
    """It is kept in the audit."""
    asked = {name for name in CHANGING if {"reason", "yes"} <= {option.name for option in COMMANDS[name].params}}
    assert asked == set(CHANGING) - WITHOUT_REASON


@pytest.mark.parametrize("name", CHANGING)
def test_a_command_that_changes_something_is_a_call_of_one_operation(name: str) -> None:
    """The one that it declares; it calls no other that changes something."""
    operation, callback = operation_of(name), COMMANDS[name].callback
    assert operation is not None
    assert callback is not None
    assert operation.__module__.startswith("worker.operations.")
    changing = {operation_of(each) for each in CHANGING}
    called = [each for each in calls_in(sys.modules[callback.__module__], callback) if each in changing]
    assert called == [operation]


@pytest.mark.parametrize("name", sorted(READING))
def test_a_command_that_reads_calls_no_operation_that_changes_something(name: str) -> None:
    """What is called a list changes nothing."""
    callback = COMMANDS[name].callback
    assert callback is not None
    changing = {operation_of(each) for each in CHANGING}
    assert [each for each in calls_in(sys.modules[callback.__module__], callback) if each in changing] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CLI)))
def test_the_command_line_hands_ledger_and_publisher_on(path: Path) -> None:
    """It asks nothing of them: that is what operations are for."""
    assert faults_of(SOURCES[path]) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CLI)))
def test_of_what_lies_below_the_operations_the_command_line_knows_values_alone(path: Path) -> None:
    """Rows, enumerations and errors; but for the processes, which it starts."""
    if path.name == "processes.py":
        return
    tree = ast.parse(SOURCES[path])
    for_types = {each for node in ast.walk(tree) if _is_for_types(node) for each in ast.walk(node)}
    found = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(BELOW) and node not in for_types
        for alias in node.names
        if not _is_value(getattr(importlib.import_module(node.module or ""), alias.name))
    ]
    assert found == []


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_value(found: Any) -> bool:
    if not isinstance(found, type):
        return isinstance(found, tuple)
    return is_dataclass(found) or issubclass(found, Enum | Exception)


@pytest.mark.parametrize(
    ("line", "is_fault"),
    [
        ("ledger.discard(chosen, audit=change.operator)", True),
        ("change.show(ledger.audits())", True),
        ("floods.discard(ledger, chosen, change.operator)", False),
    ],
)
def test_a_use_case_in_a_command_is_found(line: str, *, is_fault: bool) -> None:
    """The check is none if it finds nothing."""
    assert bool(faults_of(USE_CASE.format(line))) is is_fault


@pytest.mark.parametrize("path", sorted(OPERATIONS.rglob("*.py")), ids=lambda path: str(path.name))
def test_an_operation_prints_nothing(path: Path) -> None:
    """Nor does it end the process: its values and errors are for whoever asked."""
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"print", "input", "sys", "click", "rich"}
