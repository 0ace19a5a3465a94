"""Holds: our refused credential is left alone, a user's bad token or a single refused call is not our credential."""

import pytest

from tasks.base import Held
from tasks.outcome import CredentialFault, Permanent, Reason, Settled, State, Transient
from worker.holds import Holds

FAULT = CredentialFault(Reason.AUTH_UNAUTHORIZED)
DONE = Settled(State.ACCEPTED, "204")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the holds under test."""
    return Clock()


@pytest.fixture
def holds(clock: Clock) -> Holds:
    """Holds of 15 to 60 seconds, without spread."""
    return Holds(first=15, cap=60, clock=clock, chance=lambda: 0.0)


def refuse(holds: Holds, *calls: str) -> Held | None:
    """Have the provider refuse our credential for these calls; what the last one was told."""
    for call in calls:
        held = holds.observe("genesys", call, FAULT)
    return held


def open_hold(holds: Holds) -> Held | None:
    """Have it refused often enough."""
    return refuse(holds, "a", "b", "c")


def test_a_handful_of_refusals_in_a_row_opens_the_hold(holds: Holds) -> None:
    """Two are still tried; the third call waits, and so does everybody after it."""
    assert refuse(holds, "a", "b") is None
    assert holds.check("genesys") is None
    assert refuse(holds, "c") == Held(Reason.AUTH_UNAUTHORIZED, 15)
    assert holds.check("genesys") == Held(Reason.AUTH_UNAUTHORIZED, 15)
    assert holds.check("genesys-eu") is None


def test_refusals_between_successes_never_open_it(holds: Holds) -> None:
    """A provider that answers a dead reference like a dead key must not stop everybody."""
    for _ in range(10):
        assert refuse(holds, "a", "b") is None
        holds.observe("genesys", "d", DONE)
    assert not holds.is_open("genesys")


def test_one_call_refused_again_and_again_never_opens_it(holds: Holds) -> None:
    """Its own reference may be dead: it burns its attempts, and nobody else waits for it."""
    assert refuse(holds, *["a"] * 20) is None
    assert holds.check("genesys") is None


def test_after_its_time_one_call_goes_as_the_probe(holds: Holds, clock: Clock) -> None:
    """The others keep waiting while it is under way."""
    open_hold(holds)
    clock.now += 15
    assert holds.check("genesys") is None
    assert isinstance(holds.check("genesys"), Held)


@pytest.mark.parametrize("outcome", [DONE, Permanent(Reason.PROVIDER_NOT_FOUND)])
def test_a_probe_whose_credential_is_accepted_closes_it(holds: Holds, clock: Clock, outcome: Settled) -> None:
    """Whatever else the provider says of the call."""
    open_hold(holds)
    clock.now += 15
    holds.check("genesys")
    holds.observe("genesys", "d", outcome)
    assert holds.check("genesys") is None


def test_every_refused_probe_doubles_the_hold_up_to_its_cap(holds: Holds, clock: Clock) -> None:
    """15, 30, 60, 60 seconds."""
    waits = [open_hold(holds)]
    for _ in range(3):
        clock.now += 60
        holds.check("genesys")
        waits.append(refuse(holds, "a"))
    assert [held.delay for held in waits if held] == [15, 30, 60, 60]


def test_a_retry_after_pauses_every_call_with_that_credential(holds: Holds, clock: Clock) -> None:
    """The call that was told so is retried by its own policy; the others are not sent meanwhile."""
    assert holds.observe("genesys", "d", Transient(Reason.HTTP_429, 20.0)) is None
    assert holds.check("genesys") == Held(Reason.HTTP_429, 20)
    clock.now += 20
    assert holds.check("genesys") is None


def test_an_unwell_provider_says_nothing_of_the_credential(holds: Holds, clock: Clock) -> None:
    """A 503 to the probe leaves the hold as it is."""
    open_hold(holds)
    clock.now += 15
    holds.check("genesys")
    holds.observe("genesys", "d", Transient(Reason.HTTP_5XX))
    assert holds.is_open("genesys")
