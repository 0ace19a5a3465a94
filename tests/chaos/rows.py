"""The rows of the fault matrix: what each is called, what it needs, what it may do. Rows register by being imported."""

import importlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from system import Providers, System

from chaos.load import PROVIDERS, Load, make_load
from chaos.oracle import Allowance
from chaos.tables import as_tables

if TYPE_CHECKING:
    from chaos.scene import Scene

EMBEDDED: Final = "embedded"
RABBITMQ: Final = "rabbitmq"
BROKERS: Final = (RABBITMQ, EMBEDDED)

Scenario = Callable[["Scene"], None]
MakeLoad = Callable[[System, int, random.Random, Sequence[str]], Load]
Deliver = Callable[["Scene", Sequence[Mapping[str, Any]]], Sequence[Exception | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. Its scenario's docstring says what happens, in one line of the table."""

    name: str  # of the matrix, e.g. "W1"; a variant has a word after it: "B1 clean"
    scenario: Scenario = field(repr=False)
    brokers: tuple[str, ...] = BROKERS
    private: bool = False  # whether it harms the broker: then RabbitMQ is a node of the row's own, `scene.node`
    nodes: int = 1  # of its own, where it is `private`, that can join each other: `scene.nodes`
    fast: tuple[str, ...] = BROKERS  # on which its small form takes well under 20 s, and so is a part of `make test`
    links: tuple[str, ...] = ()  # fault proxies, "worker-broker": see Scene.links
    load: MakeLoad = make_load
    deliver: Deliver | None = None  # how its events come, with what failed of each; None: as messages of a producer
    own_postgres: bool = False  # its ledger is a PostgreSQL of the row's own, `scene.postgres`
    small_disk: str = ""  # "ledger" or (embedded) "broker", on a SmallDisk(scene.system.home.parent / DISK)
    providers: tuple[str, ...] = PROVIDERS  # whose tokens the load ends
    written: Callable[[Providers], Providers] = field(default=dict, repr=False)  # how these are configured
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the installation, beside the bench's own
    duplicates: int | Callable[[int], int] = 0  # the bound, or what it is for so many events
    harmless: str = ""  # why a duplicate does no harm; a row that allows one must say so
    reasons: frozenset[str] = frozenset()  # that its dead letters may have
    strange_reasons: frozenset[str] = frozenset()  # that the dead letters of strange messages may have
    doubted: frozenset[str] = frozenset()  # providers that lie to the end, so that their tokens live
    within: float | None = None  # seconds from the heal to the first call
    patience: float = 120.0  # seconds the drain may take
    full: int = 2000  # events at full size
    latency: float = 0.1  # seconds that every answer of a provider takes, so that there are calls in flight

    @property
    def about(self) -> str:
        """The fault in one line."""
        return (self.scenario.__doc__ or "").partition("\n")[0]

    def allowance(self, events: int, published_again: int = 0) -> Allowance:
        """What the oracle lets pass with *events* events; a unit that was *published_again* may be called again."""
        bound = self.duplicates(events) if callable(self.duplicates) else self.duplicates
        return Allowance(bound + published_again, self.reasons, self.strange_reasons, self.doubted)


_rows: Final[list[Row]] = []


def row(name: str, **needs: Any) -> Callable[[Scenario], Scenario]:
    """Make a function the scenario of row *name*; *needs* are the members of `Row`."""

    def register(scenario: Scenario) -> Scenario:
        made = Row(name, scenario, **needs)
        if any(other.name == name and set(other.brokers) & set(made.brokers) for other in _rows):
            raise ValueError(f"row {name} is declared twice for a broker")
        if made.duplicates and not made.harmless:
            raise ValueError(f"row {name} allows duplicates and does not say why they do no harm")
        _rows.append(made)
        return scenario

    return register


def all_rows() -> list[Row]:
    """Every row of every module `rows_*.py` beside this one, in the order of the matrix."""
    for file in sorted(Path(__file__).parent.glob("rows_*.py")):
        importlib.import_module(f"chaos.{file.stem}")
    return sorted([*_rows, *map(_of_tables, filter(_can_be_tables, _rows))], key=_place)


def _can_be_tables(row: Row) -> bool:
    """Whether it is about what providers do: not Wibmo alone, whose cipher is code, nor a setting of Genesys' kind."""
    return row.name.startswith("P") and row.name != "P9 gone" and row.providers != ("wibmo",)


def _of_tables(row: Row) -> Row:
    """The very same row, for providers that no code knows."""
    return replace(row, name=f"{row.name} table", written=as_tables, fast=())


def _place(row: Row) -> tuple[int, int, str]:
    letter, number = re.match(r"([A-Z])(\d+)", row.name).groups()  # type: ignore[union-attr] # a row has such a name
    return "WBPMCDSEHI".index(letter), int(number), row.name
