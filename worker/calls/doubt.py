"""Watches, in one worker process, for a provider instance that calls every token dead already."""

import logging
from collections import defaultdict
from datetime import datetime

from tasks.call import ProviderCall
from tasks.doubt import DIED, KNOWS_LIVING, PEOPLE, WINDOW, TokenAnswer, are_doubtful, explained
from tasks.outcome import Settled, State
from tasks.runtime import came_before

logger = logging.getLogger(__name__)


class Doubts:
    """Of each instance: its answers since it last accepted something; logged once, and again after the next success."""

    def __init__(self) -> None:
        self._answers: defaultdict[str, dict[str, TokenAnswer]] = defaultdict(dict)
        self._logged: set[str] = set()

    def observe(self, call: ProviderCall, outcome: Settled, now: datetime) -> Settled:
        """Learn from *outcome*, and log an error where the instance is in doubt from now on.

        Returns *outcome*, with the cause of a token's death where that is known.
        """
        outcome = explained(call, outcome, now, came_before=came_before.get())
        if outcome.state in KNOWS_LIVING:
            self._answers.pop(call.provider, None)
            self._logged.discard(call.provider)
        elif outcome.state is State.ALREADY_REVOKED and DIED not in outcome.detail:
            self._dead_already(call, now)
        return outcome

    def _dead_already(self, call: ProviderCall, now: datetime) -> None:
        kept = [each for each in self._answers[call.provider].values() if now - each.at <= WINDOW]
        answer = TokenAnswer(now, call.person_key or call.target_key or call.call_id, State.ALREADY_REVOKED)
        newest = {each.person: each for each in (*kept, answer)}
        self._answers[call.provider] = dict(list(newest.items())[-PEOPLE:])
        if call.provider not in self._logged and are_doubtful(newest.values()):
            self._logged.add(call.provider)
            logger.error("provider.doubted", extra={"provider": call.provider, "people": len(newest)})
