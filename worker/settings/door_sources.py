"""How doors and sources fit together: each door speaks for the one source that lists it."""

from collections.abc import Mapping
from itertools import permutations
from typing import Annotated

from pydantic import StringConstraints

from tasks.doors import KINDS
from tasks.doors.sessions import SessionDoorSettings
from tasks.doors.settings import CommonDoorSettings
from worker.settings.door import DoorProcessSettings
from worker.settings.sections import SourceSettings

DoorName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Doors = Mapping[str, CommonDoorSettings]
Sources = Mapping[str, SourceSettings]


def path_of(name: str, door: CommonDoorSettings) -> str:
    """Return the path of the URL of the door *name*."""
    return door.path or f"/{name}"


def source_of(name: str, sources: Sources) -> SourceSettings:
    """Return the source that the door *name* speaks for. Raises StopIteration for one that tells no events."""
    return next(each for each in sources.values() if name in each.doors)


def fault_of_doors(doors: Doors, process: DoorProcessSettings, sources: Sources, *, has_registry: bool) -> str | None:
    """Return what does not fit together, in one line that names the setting; None where all does."""
    for name, source in sources.items():
        if not source.doors <= doors.keys():
            return f"sources.{name}.doors: names a door that is not configured"
    for name, door in doors.items():
        if fault := _fault_of(name, door, process, sources):
            return f"doors.{name}{fault}"
        if isinstance(door, SessionDoorSettings) and door.ends_sessions and not has_registry:
            return f"doors.{name}.ends_sessions: needs registry.enabled, which knows the tokens of sessions"
    paths = [path_of(name, door) for name, door in doors.items() if door.is_pushed]
    inner = [one for one, other in permutations(paths, 2) if f"{other}/".startswith(f"{one}/")]
    return f"doors: the path {inner[0]} of one leads into another" if inner else None


def _fault_of(name: str, door: CommonDoorSettings, process: DoorProcessSettings, sources: Sources) -> str | None:
    speaking = [source for source, each in sources.items() if name in each.doors]
    if not KINDS[door.kind].types and speaking:
        return ": tells no events, so no source may list it in its `doors`"
    if KINDS[door.kind].types and len(speaking) != 1:
        return f": must be listed in the `doors` of one source, and no more; it is in {len(speaking)}"
    if door.is_pushed and not (door.is_proved or KINDS[door.kind].proves_itself):
        return ": needs a proof of who sends: bearer_file, hmac_file or client_names"
    if door.client_names and not process.client_ca_file:
        return ".client_names: needs door.client_ca_file"
    return None
