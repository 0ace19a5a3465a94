"""Whether a refusal means our credential or what a call names: decided by order, and by nothing less."""

import random

import pytest

from tasks.outcome import CredentialFault, Reason, Settled, State
from worker.calls.holds.breaker import SUCCESS_COUNTS_FOR
from worker.calls.holds.provider_state import REFUSALS, Acceptance

REFUSED = CredentialFault(Reason.AUTH_UNAUTHORIZED, is_ambiguous=True)
DONE = Settled(State.ACCEPTED, "200")


def refused(known: Acceptance, call_id: str, sent: float, answered: float | None = None) -> bool:
    """Whether the call, *sent* and refused then, is told dead for it."""
    proof = known.last
    return known.judged(call_id, REFUSED, proof, sent if answered is None else answered) is not None


@pytest.mark.parametrize("success_after", range(6))
def test_a_reference_is_dead_after_refusals_with_a_success_between(success_after: int) -> None:
    """Wherever it is; a success before the first refusal, or after the last, proves nothing."""
    known, told = Acceptance(), []
    for turn in range(6):
        if turn == success_after:
            known.accepted("other", DONE, turn - 0.5)
        told.append(refused(known, "x", turn))
    assert told.count(True) == (success_after > 0)
    assert success_after == 0 or told.index(True) == max(success_after, REFUSALS - 1)


def test_a_request_that_was_sent_before_the_key_was_accepted_proves_nothing() -> None:
    """It was refused while the key was bad, however late its answer came."""
    known = Acceptance()
    assert not refused(known, "x", 0.0)
    proof = known.last  # as the second request is sent
    for second in range(1, 9):
        known.accepted("other", DONE, second)
        assert known.judged("x", REFUSED, proof, second + 0.5) is None
    assert refused(known, "x", 10.0)


def test_a_success_of_long_ago_proves_nothing() -> None:
    """The key may have been revoked since."""
    known = Acceptance()
    for turn in range(9):
        assert not refused(known, "x", turn * 1000.0)
        known.accepted("other", DONE, turn * 1000.0 + 1)


@pytest.mark.parametrize("seed", range(5))
def test_where_a_part_of_the_provider_refuses_a_good_key_no_living_reference_is_told_dead(seed: int) -> None:
    """Every request meets one of two servers, of which one does not know the key; twenty references, and all live."""
    chance, known, alive = random.Random(seed), Acceptance(), set(range(20))  # noqa: S311 - a test's
    told = 0
    for second in range(12):
        for number in sorted(alive):
            now = second + number / 100
            if chance.random() < 0.5:
                told += refused(known, str(number), now)
            else:
                known.accepted(str(number), DONE, now)
                alive.discard(number)
    assert not told


def test_after_a_while_refusals_count_again() -> None:
    """What was fickle is well: a dead reference ends as one."""
    known = Acceptance()
    refused(known, "y", 0.0)
    known.accepted("y", DONE, 1.0)
    verdicts = []
    for turn in range(60):
        verdicts.append(refused(known, "x", 2.0 + turn * 10))
        known.accepted("other", DONE, 7.0 + turn * 10)
    assert verdicts.index(True) * 10 + 2 >= 1 + SUCCESS_COUNTS_FOR
