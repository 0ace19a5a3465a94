"""What a scenario publishes: events drawn with a seed, and the tokens and users that must be dead afterwards."""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from system import System, digest

# Not wibmo: a second call with a reference that is dead already is answered like a refused key, and ends as a dead
# letter (docs/promises.md); rows whose fault repeats no call name it themselves.
PROVIDERS: Final = ("finbourne", "genesys", "genesys-eu")


@dataclass(frozen=True, slots=True)
class Unit:
    """One token or user of one event. *key* is what the provider's journal calls it, and a scripted fault matches."""

    event_id: str
    provider: str
    key: str


@dataclass(frozen=True, slots=True)
class Load:
    """Events in the order in which they are published, and their units."""

    marker: str  # a part of every token, found nowhere else in the world; a reference to one is no secret
    events: Sequence[dict[str, Any]] = field(repr=False)
    units: Sequence[Unit] = field(repr=False)
    chance: random.Random = field(repr=False)  # for what else a scenario leaves to chance

    @property
    def users(self) -> list[Unit]:
        """Those that end by a call with the worker's own credential: the journal calls them by the user's id."""
        return [unit for unit in self.units if "-" in unit.key]

    @property
    def sessions(self) -> list[Unit]:
        """Those that end by their own token, or a reference to it: the journal calls them by its digest."""
        return [unit for unit in self.units if "-" not in unit.key]

    def token(self, unit: Unit) -> str:
        """The token of one of the sessions, or the reference to it."""
        return _token("reference" if unit.provider == "wibmo" else self.marker, self.units.index(unit))


def make_load(system: System, count: int, chance: random.Random, providers: Sequence[str] = PROVIDERS) -> Load:
    """Of every ten events one disables a user at Genesys, one ends sessions at two providers, eight end one session."""
    maker = _Maker(system, chance, providers)
    kinds = [maker.disabled, maker.two_sessions, *[maker.session] * 8]
    events = [kinds[number % 10](f"event-{number}") for number in range(count)]
    chance.shuffle(events)
    return Load(maker.marker, events, maker.units, chance)


def make_backlog(system: System, count: int, chance: random.Random, providers: Sequence[str]) -> Load:
    """Fifty times *count* sessions at Wibmo, known by references, unsealed; urgent events behind them."""
    maker = _Maker(system, chance, providers)
    routine = [maker.referenced(f"event-{number}") for number in range(50 * count)]
    urgent = [maker.disabled(f"urgent-{number}") for number in range(count // 20)]
    return Load(maker.marker, [*routine, *urgent], maker.units, chance)


def make_flood(system: System, count: int, chance: random.Random, providers: Sequence[str]) -> Load:
    """Sessions, one by one; after a sixth of them thirty users are disabled at once."""
    maker = _Maker(system, chance, providers)
    sessions = [maker.session(f"event-{number}") for number in range(count)]
    disabled = [maker.disabled(f"disabled-{number}") for number in range(30)]
    return Load(maker.marker, [*sessions[: count // 6], *disabled, *sessions[count // 6 :]], maker.units, chance)


class _Maker:
    def __init__(self, system: System, chance: random.Random, providers: Sequence[str]) -> None:
        self.marker = f"chaos-{uuid.uuid4().hex}"
        self.units: list[Unit] = []
        self._system, self._chance, self._providers = system, chance, providers

    def session(self, event_id: str) -> dict[str, Any]:
        return self._ended(event_id, self._chance.choice(self._providers))

    def two_sessions(self, event_id: str) -> dict[str, Any]:
        return self._ended(event_id, *self._chance.sample(self._providers, min(2, len(self._providers))))

    def referenced(self, event_id: str) -> dict[str, Any]:
        reference = f"sbx-{self._chance.getrandbits(128):x}"
        self.units.append(Unit(event_id, "wibmo", digest(reference)))
        return self._system.ended(self._system.session("wibmo", reference), event_id=event_id)

    def disabled(self, event_id: str) -> dict[str, Any]:
        user = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        self.units.append(Unit(event_id, "genesys", user))
        return self._system.disabled(event_id, accounts={"genesys": {"user_id": user}})

    def _ended(self, event_id: str, *providers: str) -> dict[str, Any]:
        sessions = []
        for provider in providers:
            token = _token("reference" if provider == "wibmo" else self.marker, len(self.units))
            self.units.append(Unit(event_id, provider, digest(token)))
            sessions.append(self._system.session(provider, token))
        return self._system.ended(*sessions, event_id=event_id)


def _token(marker: str, number: int) -> str:
    return f"sbx-{marker}-{number}"
