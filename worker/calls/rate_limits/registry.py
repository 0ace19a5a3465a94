"""Which calls count against which limit: those made with one credential, whatever instances share it.

Logins do not count: they are made without the token that is limited, at another host. Nor does `provider check`, which
asks once what our credential is worth or sends none, nor the proof probe, which bears the user's own token. What
operators ask with our credential by hand (`genesys idle-timeout`) is not counted here: the few calls a minute left over
are room for it.
"""

import asyncio
import hashlib
import hmac
import uuid
from collections import defaultdict

from tasks.call import Operation, ProviderCall
from tasks.providers import ProviderSettings, kind_of
from worker.calls.rate_limits.limiter import Limiter
from worker.calls.rate_limits.store import PermitLease
from worker.calls.rate_limits.window import Limit
from worker.database.thread import DatabaseThread
from worker.settings import Settings


def per_minute(provider: ProviderSettings) -> int | None:
    """How many calls this instance may make in 60 s with its credential; None where nothing limits them."""
    documented = kind_of(provider).documented_limit
    return (documented if provider.rate_limit is None else provider.rate_limit) or None


def fingerprint(key: bytes, provider: ProviderSettings) -> str:
    """32 hex digits that stand for the credential of *provider* and reveal nothing of it without *key*."""
    account = "\0".join(("rate limit", provider.kind, *provider.account))
    return hmac.new(key, account.encode(), hashlib.sha256).hexdigest()[:32]


class RateLimits:
    """The limiters of one worker process."""

    def __init__(self, settings: Settings, thread: DatabaseThread) -> None:
        self._settings, self._thread = settings, thread
        self._limiters: dict[str, Limiter] = {}  # by fingerprint
        self._of: dict[tuple[str, Operation], Limiter] = {}

    def open(self) -> None:
        """Begin to share the limits; must run on the event loop of the calls."""
        worker = str(uuid.uuid4())
        for fingerprint_, names in self._instances().items():
            calls = min(per_minute(self._settings.providers[name]) or 0 for name in names)
            limit = Limit(calls)
            lease = PermitLease(self._thread, fingerprint_, limit)
            spare = max([self._spare(limit, name) for name in names])
            self._limiters[fingerprint_] = limiter = Limiter(names[0], limit, worker, lease, spare)
            for name in names:
                operations = kind_of(self._settings.providers[name]).limited_operations
                self._of.update({(name, operation): limiter for operation in operations})

    def _spare(self, limit: Limit, name: str) -> int:
        """A tenth where no routine call counts, else the part of the limit that routine calls leave to urgent ones."""
        has_routine = kind_of(self._settings.providers[name]).limits_sessions
        return limit.reserve if has_routine else max(limit.reserve, limit.calls // 10)

    def of(self, call: ProviderCall) -> Limiter | None:
        """The limiter whose permit *call* needs; None where it needs none."""
        return self._of.get((call.provider, call.operation))

    def stop(self) -> None:
        """Raise GivenBack in every call that waits for a permit, and in those that come."""
        for limiter in self._limiters.values():
            limiter.stop()

    async def close(self) -> None:
        """Report to the other workers that their shares are larger now."""
        await asyncio.gather(*(limiter.close() for limiter in self._limiters.values()))

    def _instances(self) -> dict[str, list[str]]:
        """Fingerprint → the limited instances that share the credential."""
        key, shared = self._settings.subject_key.get_secret_value().encode(), defaultdict(list)
        for name, provider in self._settings.providers.items():
            if per_minute(provider):
                shared[fingerprint(key, provider)].append(name)
        return shared
