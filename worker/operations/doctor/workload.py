"""What a deployment's files tell of our processes, whatever their format, and the means to read it out of YAML.

What has another shape than it should is as good as not there: the engine that it is for says so better.
"""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

PROCESSES: Final = ("intake", "worker", "recorder", "console", "door", "sweep")
PREFIX: Final = "REVOKER_"

Node = Mapping[str, object]


class Fault(NamedTuple):
    """What is wrong in one place, and what to do."""

    state: Literal["warning", "failed", "unknown"]
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """A secret that a container finds as files: its name, where, and their mode (None: the host's own)."""

    name: str
    folder: str
    mode: int | None


@dataclass(frozen=True, slots=True)
class Workload:
    """One of our processes, as a deployment starts it."""

    place: str
    process: str
    grace: float  # seconds between SIGTERM and SIGKILL
    is_root: bool | None  # None: nothing says so, the image decides
    is_privileged: bool
    is_read_only: bool
    variables: Mapping[str, str]  # those whose values stand in the file
    secret_variables: tuple[str, ...] = ()  # names of those that a Secret fills
    secret_files: tuple[SecretFiles, ...] = ()
    has_group: bool = True  # whether its secret files are given to a group that it is in
    probes: Mapping[str, str] = field(default_factory=dict)  # kind → path or command that it asks
    is_in_pod: bool = False
    is_scraped: bool = False  # whether the same file holds who reads its metrics


@dataclass(frozen=True, slots=True)
class Scaler:
    """What starts more of a process: its smallest count, and what it looks at (type, and query or protocol)."""

    place: str
    target: str
    fewest: int
    signals: tuple[tuple[str, str], ...]


def process_of(words: Sequence[str], variables: Mapping[str, str], image: str) -> str | None:
    """Which process of ours *words* start; None for a command of ours that is none, and for what is not ours."""
    program = words[0].rpartition("/")[2] if words else ""
    if program == "celery":
        process = "worker" if "worker" in words else ""
    else:
        process, more = (*(words[1:] if program == "revoker" else words), "", "")[:2]
        process = process if more.startswith("-") or not more else ""  # `console users add` is no process
    is_ours = program == "revoker" or "revoker" in image or any(each.startswith(PREFIX) for each in variables)
    return process if is_ours and process in PROCESSES else None


def at(node: object, *names: str) -> object:
    """What stands in *node* under *names*, level by level; None where nothing does."""
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def text_at(node: object, *names: str) -> str:
    """The same as text; empty where nothing does."""
    found = at(node, *names)
    return "" if found is None else str(found)


def mapping(value: object) -> Node:
    """*value* where it is a mapping, else an empty one."""
    return {str(name): each for name, each in value.items()} if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[object]:
    """*value* where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def words_of(command: object) -> list[str]:
    """The words of a command, which is a list of them or one line."""
    if isinstance(command, str):
        with suppress(ValueError):  # an open quote
            return shlex.split(command)
    return [str(each) for each in sequence(command)]
