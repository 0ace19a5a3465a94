"""Wrong passwords slow answers down, and lock nobody out."""

import pytest

from worker.console.sign_in.delays import ACCOUNT_CAP, ADDRESS_CAP, KEPT, LONGEST, MEMORY, Delays, TooManyAttempts


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def fail(delays: Delays, clock: Clock, times: int, account: str, address: str) -> list[float]:
    """What each of several wrong passwords waited, one after the other."""
    waited = []
    for _ in range(times):
        waited.append(delays.wait(account, address))
        clock.now += waited[-1]
        delays.failed(account, address)
    return waited


def test_each_wrong_password_makes_the_next_answer_slower_up_to_a_cap() -> None:
    """Doubled each time, for the account and for the address."""
    clock = Clock()
    waited = fail(Delays(clock), clock, 12, "olga", "192.0.2.1")
    assert waited[:5] == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert waited[-1] == ADDRESS_CAP


def test_a_stranger_from_many_addresses_cannot_keep_the_owner_out() -> None:
    """Thousands of wrong passwords cost the owner, who comes from elsewhere, some seconds; a right one ends it."""
    clock = Clock()
    delays = Delays(clock)
    for number in range(3000):
        fail(delays, clock, 1, "olga", f"198.51.{number // 250}.{number % 250}")
    assert delays.wait("olga", "192.0.2.1") == ACCOUNT_CAP
    delays.succeeded("olga")
    assert delays.wait("olga", "192.0.2.2") == 0


def test_many_at_once_from_one_address_stand_in_a_line_that_has_an_end() -> None:
    """No attempt is judged before its turn, and what would wait too long is told to come again; others do not wait."""
    clock = Clock()
    delays = Delays(clock)
    fail(delays, clock, 12, "olga", "192.0.2.1")
    line = [delays.wait("olga", "192.0.2.1") for _ in range(int(LONGEST / ADDRESS_CAP))]
    assert line == [ADDRESS_CAP * (place + 1) for place in range(len(line))]
    with pytest.raises(TooManyAttempts):
        delays.wait("olga", "192.0.2.1")
    assert delays.wait("boris", "192.0.2.7") == 0
    clock.now += ADDRESS_CAP
    assert delays.wait("olga", "192.0.2.1") == LONGEST


def test_an_address_is_not_forgiven_for_a_password_that_it_knows() -> None:
    """Else whoever has one account tries the others at full speed."""
    clock = Clock()
    delays = Delays(clock)
    fail(delays, clock, 5, "olga", "192.0.2.1")
    delays.succeeded("mallory")
    assert delays.wait("boris", "192.0.2.1") > 1


def test_the_addresses_of_one_customer_are_one() -> None:
    """Of IPv6 the network of 64 bits; of IPv4 one inside of IPv6 is its own; what is no address is one as well."""
    clock = Clock()
    delays = Delays(clock)
    fail(delays, clock, 5, "olga", "2001:db8::1")
    assert delays.wait("boris", "2001:db8::ffff") > 1
    assert delays.wait("boris", "2001:db8:0:1::1") == 0
    assert delays.wait("boris", "\u202egarbage" * 100) == 0


def test_what_is_long_ago_is_forgotten_and_memory_has_a_bound() -> None:
    """Strangers choose the names of accounts."""
    clock = Clock()
    delays = Delays(clock)
    fail(delays, clock, 5, "olga", "192.0.2.1")
    clock.now += MEMORY + 1
    assert delays.wait("olga", "192.0.2.1") == 0
    for number in range(KEPT + 10):
        delays.failed(str(number), f"2001:db8:{number // 65536:x}:{number % 65536:x}::1")
    assert len(delays._accounts._counts) == len(delays._addresses._counts) == KEPT
