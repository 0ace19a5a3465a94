"""What the role of our OAuth client permits: AuthzSubject (developer.genesys.cloud, resource Authorization).

`GET /authorization/subjects/me` needs no permission and changes nothing. The vendor documents it for users; where it
is not answered for a client, or leaves the policies out, nothing is concluded.
"""

from typing import Final

from pydantic import ConfigDict, Field

from tasks.outcome import CredentialFault, Outcome, Reason, Settled, State, Transient
from tasks.providers.answers import Answer
from tasks.providers.genesys import outcomes
from tasks.providers.oauth import LOGGED_IN
from tasks.strict_model import StrictModel

DELETE_TOKENS: Final = "oauth:token:delete"  # domain, entity and action of DeleteToken
_ANY: Final = "*"


class _Part(StrictModel):
    model_config = ConfigDict(extra="ignore")


class _Policy(_Part):
    domain: str | None = None
    entity: str | None = Field(None, alias="entityName")
    actions: tuple[str, ...] | None = None
    condition: object = None


class _Role(_Part):
    policies: tuple[_Policy, ...] | None = None


class _Grant(_Part):
    role: _Role = _Role()


class Subject(_Part):
    """Whom a token acts for, and the roles that it was granted."""

    grants: tuple[_Grant, ...] = ()

    def has(self, permission: str) -> bool | None:
        """Whether a role has *permission*; None where that is not told: roles without policies, or a condition."""
        policies = [each.role.policies for each in self.grants]
        found = [each for some in policies for each in some or () if _covers(each, permission)]
        if any(not each.condition for each in found):
            return True
        return None if found or not all(policies) or not policies else False


def _covers(policy: _Policy, permission: str) -> bool:
    domain, entity, action = permission.split(":")
    actions = {each.lower() for each in policy.actions or ()}
    return (
        (policy.domain or "").lower() == domain
        and (policy.entity or "").lower() in {entity, _ANY}
        and not actions.isdisjoint({action, _ANY})
    )


def _has_permission(answer: Answer | Transient) -> bool | None:
    if isinstance(answer, Transient) or not answer.is_success:
        return None
    subject = outcomes.document(answer, Subject)
    return subject.has(DELETE_TOKENS) if isinstance(subject, Subject) else None


def of_login(answer: Answer | Transient) -> Outcome:
    """Return what a login is worth, by the *answer* to whom it acts for.

    A fault of our credential where its roles lack the permission of DeleteToken; the failure where the API cannot be
    reached. Settled else; its detail names what is granted, where that is told.
    """
    if isinstance(answer, Transient) and answer.reason != Reason.PROVIDER_BAD_REPLY:
        return answer
    match _has_permission(answer):
        case True:
            return Settled(State.ACCEPTED, LOGGED_IN, {"granted": DELETE_TOKENS})
        case False:
            return CredentialFault(Reason.AUTH_FORBIDDEN, {"missing": DELETE_TOKENS})
        case None:
            return Settled(State.ACCEPTED, LOGGED_IN)
