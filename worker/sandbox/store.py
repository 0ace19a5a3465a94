"""Who is logged in at a provider: the tokens that live, and the users they belong to."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Final

AUTO_PREFIX: Final = "sbx-"


def digest(secret: str) -> str:
    """Return the name under which the sandbox knows a token or reference: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenStore:
    """The tokens of one provider instance, by digest: no token is kept. One small entry for each token ever seen.

    With *auto_issue* an unknown token that starts with `sbx-`, and an unknown user, is taken as live on first sight.
    """

    def __init__(self, *, auto_issue: bool = False) -> None:
        self._auto_issue = auto_issue
        self._live: dict[str, bool] = {}
        self._of_user: defaultdict[str, set[str]] = defaultdict(set)

    def seed(self, token: str, user_id: str | None = None) -> None:
        """Make *token* live, again if need be, as one of the user's."""
        name = digest(token)
        self._live[name] = True
        if user_id is not None:
            self._of_user[user_id].add(name)

    def is_live(self, token: str) -> bool:
        """Whether *token* opens a door."""
        return self._live.get(digest(token), self._is_taken_on_sight(token))

    def is_known(self, token: str) -> bool:
        """Whether *token* is live or was."""
        return digest(token) in self._live or self._is_taken_on_sight(token)

    def revoke(self, token: str) -> bool:
        """Kill *token*; whether it was live."""
        was_live = self.is_live(token)
        if was_live:
            self._live[digest(token)] = False
        return was_live

    def revoke_user(self, user_id: str) -> int | None:
        """Kill all tokens of a user: how many were live, None for a user nobody knows."""
        if user_id not in self._of_user:
            return self._first_sight_of(user_id) if self._auto_issue else None
        live = [name for name in self._of_user[user_id] if self._live[name]]
        self._live.update(dict.fromkeys(live, False))
        return len(live)

    def expire(self, token: str) -> None:
        """Let *token* die by itself, as at the end of its session."""
        self._live[digest(token)] = False

    def dead(self) -> list[str]:
        """What opens no door any more: the digests of dead tokens, and the users none of whose tokens lives."""
        users = (user for user, tokens in self._of_user.items() if not any(self._live[name] for name in tokens))
        return [*(name for name, is_live in self._live.items() if not is_live), *users]

    def _first_sight_of(self, user_id: str) -> int:
        self._of_user[user_id] = set()
        return 1

    def _is_taken_on_sight(self, token: str) -> bool:
        return self._auto_issue and token.startswith(AUTO_PREFIX)
