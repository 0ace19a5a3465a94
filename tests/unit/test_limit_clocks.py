"""The clocks of a rate limit: whatever they do, and whoever is out of sight, nothing in the window is forgotten."""

from limit_world import World

from worker.calls.rate_limits.window import Ages, Ask, Limit, Record, lease


def test_the_last_moment_of_use_and_the_slowest_way_are_reckoned_with() -> None:
    """Calls that arrive at the last moment share no window with those that follow as soon as there are permits."""
    world = World(Limit(30))
    world.ask("a", urgent=30)
    world.now += world.limit.permit_ttl - 0.01
    made_at = world.now
    world.use("a", 30, 1.0)
    while not world.call("b", urgent=30):
        world.now += 0.01
        world.ask("a")
    assert world.worst() == 30
    assert world.now <= made_at + 61.5


def test_calls_that_are_reported_together_count_until_the_last_of_them_has_left() -> None:
    """However finely ages are kept, none leaves the window before its time."""
    world = World(Limit(2))
    world.ask("a", urgent=2)
    world.use("a", 1, 0.0)
    world.now += 0.4
    world.use("a", 1, 1.0)
    world.ask("a")
    while not world.call("b", urgent=2):
        world.now += 0.01
    assert world.worst() == 2


def test_the_permits_of_a_worker_that_died_count_until_they_cannot_matter() -> None:
    """Nobody knows whether it has used them, and when."""
    world = World(Limit(30))
    world.ask("a", urgent=30)
    world.now += world.limit.permit_ttl - 0.01
    world.use("a", 30, 1.0)
    while not world.call("b", urgent=30):
        world.now += 0.1
    assert world.worst() == 30
    assert world.now <= 1e9 + 71.5


def test_a_permit_is_handed_back_once_and_only_where_it_is_booked() -> None:
    """What was booked long ago is nobody's to hand back, whatever the database's clock says."""
    world = World(Limit(5))
    world.ask("a", urgent=1)
    world.ask("b")
    world.now += 100
    world.set_by -= 100
    world.workers["a"].held = 0
    assert world.ask("b", urgent=5).permits + world.ask("a", urgent=5).permits <= 5


def test_a_clock_set_back_costs_no_more_than_a_window() -> None:
    """Even where no worker saw it happen."""
    world = World(Limit(5))
    world.call("a", urgent=5)
    world.ask("a")
    world.set_by = -3600.0
    assert world.ask("b", urgent=5).permits == 0
    world.now += 63
    assert world.ask("b", urgent=5).permits == 5


def test_a_clock_set_forward_between_two_looks_makes_nothing_old() -> None:
    """Workers that were there before go by their own clocks."""
    world = World(Limit(5))
    world.ask("b")
    world.call("a", urgent=5)
    world.ask("a")
    world.set_by = 3600.0
    assert world.ask("b", urgent=5).permits == 0


def test_a_clock_that_went_wrong_and_was_set_right_dates_nothing_back() -> None:
    """One worker books under the wrong clock; another never saw it wrong, and must not take the date for true."""
    world = World(Limit(5))
    for name in "ab":
        world.ask(name)
    world.set_by = -7.0
    world.call("b", urgent=5, late=1.0)
    world.set_by = 0.0
    world.now += 56
    world.call("a", urgent=5)
    assert world.worst() == 5


def test_a_worker_that_has_just_begun_goes_by_the_databases_clock() -> None:
    """What was used an hour ago, when the last worker stopped, takes nothing from it."""
    world = World(Limit(5))
    world.call("a", urgent=5)
    world.ask("a", leaves=True)
    world.now += 3600
    assert world.ask("b", urgent=5).permits == 5


def test_a_worker_out_of_sight_is_left_its_share() -> None:
    """From the moment it may be on its own until it is forgotten; one that says goodbye takes nothing along."""
    world = World(Limit(300))
    for name in "abc":
        world.ask(name)
    world.ask("c", leaves=True)
    world.now += 7
    assert world.ask("a", urgent=400).permits == 150
    assert world.ask("b", urgent=400).permits == 150


def test_what_was_used_out_of_sight_counts_once_it_is_told() -> None:
    """With its age, not with the moment it is told."""
    world = World(Limit(10))
    record, grant = lease(world.limit, Record(), Ask("a", urgent=10, made=(1.0, 30.0, 62.0, 90.0)), 1e9)
    assert grant.permits == 8
    ages = Ages()
    ages.remember(record, 0.0)
    later = ages.known(record, 1e9 + 40, 40.0)
    assert lease(world.limit, later, Ask("a", urgent=10, made=[40.0] * 8), 1e9 + 40)[1].permits == 1
