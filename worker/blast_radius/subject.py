"""Whom an event counts for, under a keyed hash: the counters know nobody."""

from __future__ import annotations

from dataclasses import dataclass
from sys import intern

from tasks.events import SessionEnded, TokenReferenceCredential, UserDisabled
from tasks.subject import SubjectIndex, identifiers

Key = tuple[str, str]  # source, event type


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody, as one source tells of them in events of one type."""

    source: str
    event_type: str
    hash: str

    @property
    def key(self) -> Key:
        """What it counts against."""
        return self.source, self.event_type


def subject_of(event: SessionEnded | UserDisabled, index: SubjectIndex) -> Subject:
    """The subject of *event*: everything it says of whom to hit, together.

    Names, user ids and the references to tokens that anybody could write: a source that calls many people by one name
    hits no more of them than one that tells them apart. A sealed token is left out (who has it could log its owner out
    anyway, and sealed again it looks different); an event with nothing else counts by itself.
    """
    credentials = (session.credential for session in event.data.sessions)
    references = (each.token_reference_id for each in credentials if isinstance(each, TokenReferenceCredential))
    told = sorted({*(each.value for each in identifiers(event)), *references}) or [event.id]
    return Subject(intern(event.source), intern(event.type), index.lookup("\n".join(told)))
