"""Sign-in at an OpenID provider: authorization code flow with PKCE (RFC 7636), state and nonce (RFC 9700 section 2.1).

Nothing is kept here while somebody is there: their browser holds one secret, from which state, nonce and code verifier
follow. So an answer is of use in the browser that asked alone, whichever process takes it, also after a restart.
"""

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr
from yarl import URL

from tasks.providers.kind import is_sendable
from worker.console.sign_in.id_token import logged_out, refused, require_subject, signed_claims
from worker.console.sign_in.idp import IdentityProvider
from worker.console.sign_in.person import NotSignedIn, Person
from worker.operations.text import plain
from worker.settings.console_sign_in import OidcSettings, Role

CALLBACK: Final = "/sign-in/callback"
SECRET: Final = 32  # bytes of chance, from which the others follow
USED_KEPT: Final = 10_000  # answers that were used: a second use of one is refused
LONGEST_NAME: Final = 128  # characters
_NAMES: Final = ("sub", "email", "preferred_username")  # claims by which events may know somebody


class ByOidc:
    """The way there and back. On one event loop."""

    def __init__(self, settings: OidcSettings, public_url: str, provider: IdentityProvider) -> None:
        self._settings, self._provider = settings, provider
        self._redirect_uri = f"{public_url}{CALLBACK}"
        self._used: OrderedDict[str, None] = OrderedDict()

    async def way_there(self) -> tuple[str, str]:
        """Return the URL where somebody signs in, and the secret that their browser keeps. Raises NotSignedIn."""
        secret = secrets.token_urlsafe(SECRET)
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.scopes,
            "state": _derived(secret, "state"),
            "nonce": _derived(secret, "nonce"),
            "code_challenge": _digest(_derived(secret, "verifier")),
            "code_challenge_method": "S256",
        }
        endpoint = URL((await self._provider.metadata()).authorization_endpoint, encoded=True)
        return str(endpoint.update_query(asked)), secret

    async def person(self, answer: Mapping[str, list[str]], secret: str) -> Person:
        """Return who came back with *answer*, to the browser that keeps *secret*. Raises NotSignedIn."""
        code = await self._code(answer, secret)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": _derived(secret, "verifier"),
        }
        tokens = await self._provider.tokens(form)
        claims = await self._claims(tokens.get("id_token"))
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), _derived(secret, "nonce").encode()):
            raise refused("nonce")
        return self._person(require_subject(claims), await self._completed(claims, tokens.get("access_token")))

    async def ended(self, logout_token: str) -> tuple[str | None, str | None]:
        """Return `sub` and `sid` of what is over there. Raises NotSignedIn where *logout_token* does not prove it."""
        return logged_out(await self._claims(logout_token))

    async def _code(self, answer: Mapping[str, list[str]], secret: str) -> str:
        """Return the code in *answer*, which must be the provider's to our own question, and new."""
        if any(len(values) > 1 for values in answer.values()):
            raise refused("a parameter twice")
        one = {name: values[0] for name, values in answer.items()}
        state = one.get("state", "")
        if not secret or not hmac.compare_digest(state.encode(), _derived(secret, "state").encode()):
            raise refused("state")
        if state in self._used:
            raise refused("used before")
        is_named = (await self._provider.metadata()).is_named
        if one.get("iss", None if is_named else self._settings.issuer) != self._settings.issuer:
            raise refused("issuer")
        self._used[state] = None
        if len(self._used) > USED_KEPT:
            self._used.popitem(last=False)
        if "error" in one or not one.get("code"):
            raise NotSignedIn("The OpenID provider did not let you in. Begin again, or ask whoever runs it.", "error")
        return one["code"]

    async def _claims(self, token: object) -> Mapping[str, Any]:
        return await signed_claims(self._provider, token, self._settings.issuer, self._settings.client_id)

    async def _completed(self, claims: Mapping[str, Any], access_token: object) -> Mapping[str, Any]:
        """Return *claims* with those that the provider tells elsewhere (OpenID Connect Core 1.0, section 5.3)."""
        if claims.keys() >= {self._settings.name_claim, self._settings.role_claim}:
            return claims
        bearer = SecretStr(access_token if isinstance(access_token, str) else "")
        told = await self._provider.userinfo(bearer) if is_sendable(bearer) else {}
        if told and told.get("sub") != claims["sub"]:
            raise refused("userinfo of somebody else")
        return {**told, **claims}

    def _person(self, subject: str, claims: Mapping[str, Any]) -> Person:
        role = self._role(claims)
        if role is None:
            raise NotSignedIn(
                "You are known to the OpenID provider, and have no role here. Ask for one: console.oidc.roles.", "role"
            )
        names = [
            value for value in map(claims.get, _NAMES) if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME
        ]
        session = claims.get("sid")
        session = session if isinstance(session, str) else None
        return Person(self._called(subject, claims), role, "oidc", (subject, *names), subject, session)

    def _called(self, subject: str, claims: Mapping[str, Any]) -> str:
        """Return the name for the audit: nobody is called by an address that is not theirs, or that looks otherwise."""
        name = claims.get(self._settings.name_claim)
        is_doubtful = self._settings.name_claim == "email" and claims.get("email_verified") is False
        for each in (None if is_doubtful else name, subject):
            if isinstance(each, str) and each.strip() and len(each) <= LONGEST_NAME and plain(each) == each:
                return each
        raise refused("sub")

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the highest role that *claims* give; an address gives one only where the provider vouches for it."""
        if self._settings.role_claim == "email" and claims.get("email_verified") is not True:
            return None
        told = claims.get(self._settings.role_claim)
        values = told if isinstance(told, list) else [told]
        roles = {self._settings.roles.get(each) for each in values if isinstance(each, str)}
        return next((role for role in (Role.OPERATOR, Role.VIEWER) if role in roles), None)


def _derived(secret: str, purpose: str) -> str:
    return _digest(f"{purpose}\n{secret}")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
