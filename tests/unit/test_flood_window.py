"""How many people events may hit: the window, floods and their reserve, to the second."""

import pytest

from worker.intake.flood.window import ALL, Flood, FloodKey, Limits, Subject, Window

DISABLED = "user.disabled"
LIMITS = Limits(
    span=600,
    of_source={DISABLED: 3, "session.ended": 2},
    of_all={DISABLED: 5, "session.ended": 9},
    reserve={DISABLED: 60},
)


def person(number: int, source: str = "urn:hr", event_type: str = DISABLED) -> Subject:
    """Person *number*, as *source* tells of them."""
    return Subject(source, event_type, f"person-{number}")


class Watched(Window):
    """A window that keeps what it told of."""

    def __init__(self) -> None:
        self.alerts: list[Flood] = []
        self.repeats: list[FloodKey] = []
        super().__init__(LIMITS, self.alerts.append, self.repeats.append)

    def all_pass(self, now: float, *subjects: Subject) -> list[bool]:
        """Whether each may pass."""
        self.forget(now)
        return [self.let_pass([subject], now) for subject in subjects]


def test_one_too_many_opens_one_flood() -> None:
    """Up to the limit all pass; the rest waits, and one alert tells of it."""
    window = Watched()
    assert window.all_pass(0, *map(person, range(6))) == [True] * 3 + [False] * 3
    assert [flood.key for flood in window.alerts] == [("urn:hr", DISABLED)]


def test_people_are_counted_and_not_events() -> None:
    """A feed that repeats itself hits nobody more; who was let through comes again even while a flood is held."""
    window = Watched()
    assert window.all_pass(0, person(1), person(1), person(1), person(2), person(3)) == [True] * 5
    assert window.all_pass(1, person(4), person(1)) == [False, True]


def test_a_flood_of_one_source_or_type_stops_no_other() -> None:
    """Each counts by itself."""
    window = Watched()
    window.all_pass(0, *map(person, range(9)))
    assert window.all_pass(0, person(1, "urn:other"), person(1, event_type="session.ended")) == [True, True]


def test_made_up_sources_meet_the_ceiling() -> None:
    """A name costs nothing: all together have a limit as well, and one reserve."""
    window = Watched()
    assert window.all_pass(0, *(person(n, f"urn:{n}") for n in range(9))) == [True] * 5 + [False] * 4
    assert [flood.source for flood in window.alerts] == [ALL]
    assert window.all_pass(61, person(50, "urn:x"), person(51, "urn:y")) == [True, False]


def test_a_window_slides() -> None:
    """Who passed ten minutes ago counts no more, and who passed later does."""
    window = Watched()
    assert window.all_pass(0, person(1), person(2)) == [True, True]
    assert window.all_pass(599, person(3)) == [True]
    assert window.all_pass(600, person(4), person(5), person(6)) == [True, True, False]


def test_a_flood_does_not_end_by_itself() -> None:
    """A mistake does not become right by going on slowly: only an operator ends it."""
    window = Watched()
    window.all_pass(0, *(person(n, event_type="session.ended") for n in range(3)))
    assert window.all_pass(100_000, person(9, event_type="session.ended")) == [False]
    window.pending.floods.clear()
    window.set_floods([])
    assert window.all_pass(100_001, person(10, event_type="session.ended")) == [True]


def test_one_urgent_event_a_minute_passes_during_a_flood() -> None:
    """Somebody who was dismissed is not kept in by a flood; the flood itself gets no more than that either."""
    window = Watched()
    window.all_pass(0, *map(person, range(4)))
    assert window.all_pass(59, person(10)) == [False]
    assert window.all_pass(60, person(11), person(12)) == [True, False]
    assert window.all_pass(119, person(13)) == [False]
    assert window.all_pass(120, person(14)) == [True]
    assert len(window.alerts) == 1


def test_what_others_let_through_counts() -> None:
    """The limit is over all intakes; a flood another one found is followed without a second alert."""
    window = Watched()
    window.learn([(person(1), 0.0), (person(2), 0.0), (person(1), 1.0)])
    assert window.all_pass(1, person(3), person(4)) == [True, False]
    other = Watched()
    other.set_floods([Flood("urn:hr", DISABLED, 0.0, 0.0)])
    assert other.all_pass(1, person(1)) == [False]
    assert not other.alerts


def test_an_event_counts_for_everybody_it_hits() -> None:
    """It passes as a whole or waits as a whole; whom it hit before counts once."""
    window = Watched()
    assert window.let_pass([person(1), person(2)], 0)
    assert not window.let_pass([person(3), person(4)], 0), "one of the two would be over"
    assert window.let_pass([person(1), person(2)], 0), "nobody new"
    assert not window.let_pass([person(1), person(5)], 0), "a flood is held"
    assert [flood.key for flood in window.alerts] == [("urn:hr", DISABLED)]


@pytest.mark.parametrize("people", [3, 4])
def test_the_limit_is_the_most_that_passes(people: int) -> None:
    """An event that alone hits more waits, however quiet it was before; one that hits as many does not."""
    window = Watched()
    assert window.let_pass([person(number) for number in range(people)], 0) == (people == 3)
    assert len(window.alerts) == people - 3


def test_several_people_use_the_reserve_for_as_many_turns() -> None:
    """Else a flood would go on sixteen at a time."""
    window = Watched()
    window.all_pass(0, *map(person, range(4)))
    assert window.let_pass([person(10), person(11), person(12)], 60)
    assert window.all_pass(239, person(13)) == [False]
    assert window.all_pass(240, person(14)) == [True]


def test_repeats_pass_and_more_of_them_than_people_it_may_hit_are_told_of_once_a_window() -> None:
    """Whoever was dismissed may be dismissed again; each source and type by itself, new people in between or not."""
    window = Watched()
    assert window.all_pass(0, *[person(1)] * 4, person(2)) == [True] * 5
    assert not window.repeats
    assert window.all_pass(1, *[person(1)] * 9, person(1, "urn:other")) == [True] * 10
    assert window.repeats == [("urn:hr", DISABLED)]
    window.all_pass(599, *[person(1)] * 9)
    assert len(window.repeats) == 1
    assert all(window.all_pass(1200, *[person(1)] * 5))
    assert len(window.repeats) == 2
    window.forget(100_000)
    assert not window._repeats
    assert not window.alerts


@pytest.mark.parametrize("sources", [1, 1000])
def test_nothing_stays_of_what_is_over(sources: int) -> None:
    """However many sources there ever were, and however long nobody else is told of them."""
    window = Watched()
    for now in range(0, 6000, 601):
        window.all_pass(now, *(person(now + n, f"urn:{(now + n) % sources}", "session.ended") for n in range(2)))
    window.forget(100_000)
    assert not window._passed
    assert not window._counts
    assert not window.pending.passed
