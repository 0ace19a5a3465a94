"""A place where strangers' bytes come in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True, slots=True)
class Inlet:
    """*tell* returns all that is told of an input: to logs, dead letters, people. *holding* puts bytes into one."""

    name: str
    drawn: st.SearchStrategy[Any]
    tell: Callable[[Any], object]
    holding: Callable[[bytes], Any]
