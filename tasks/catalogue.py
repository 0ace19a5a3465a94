"""What planning must know besides the event: the configured providers, the time budgets, the subject index."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from tasks.call import Lane
from tasks.events.model import Session
from tasks.providers.kind import Kind
from tasks.subject_index import SubjectIndex


@dataclass(frozen=True, slots=True)
class Instance:
    """A configured provider: its name in events, its kind, and the issuer whose `sub` is its user id, if any."""

    name: str
    kind: Kind
    subject_issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The input of planning: the provider instances, the time budgets, the subject index."""

    instances: Mapping[str, Instance]
    budgets: Mapping[Lane, timedelta]
    subjects: SubjectIndex = field(repr=False)

    def ends(self, session: Session) -> bool:
        """Whether the session's provider is configured, ends single sessions, and does it by such a credential."""
        instance = self.instances.get(session.provider)
        plan = instance.kind.session if instance else None
        return plan is not None and plan.credential in type(session.credential).model_fields
