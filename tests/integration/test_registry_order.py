"""The session registry in any order: at the same time, by several intakes, told twice."""

import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registered_sessions import disabled, ended, event, planned, registry, session, started

from tasks.events import Event
from worker.intake.registry import store
from worker.ledger import Ledger

pytest_plugins = ["ledger_fixtures", "registry_fixtures"]


def test_of_a_start_and_an_end_at_the_same_time_one_sees_the_other(ledger_url: str, ledger: Ledger) -> None:
    """Two intakes, many times: whoever is second plans the call."""
    assert store.count(ledger.database) == {}
    with registry(ledger_url) as one, registry(ledger_url) as other:
        for n in range(20):
            who = {"format": "email", "email": f"ada-{n}@example.com"}
            found = at_once(
                partial(planned, one, started(n, session(f"s{n}"), who=who)),
                partial(planned, other, disabled(n + 0.5, who)),
            )
            assert [each for each in found if each] == [[f"s{n}"]]


def at_once(*jobs: Callable[[], list[str]]) -> list[list[str]]:
    """What *jobs* return, which are begun at the same time."""
    barrier, found = threading.Barrier(len(jobs)), list[list[str]]()

    def run(job: Callable[[], list[str]]) -> None:
        barrier.wait()
        found.append(job())

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


TIMES = st.integers(0, 30)
WHO = st.sampled_from(["ada", "bob"])
ANY = st.one_of(
    st.tuples(st.just("started"), TIMES, WHO, st.integers(0, 5)),
    st.tuples(st.just("disabled"), TIMES, WHO, st.just(0)),
    st.tuples(st.just("enabled"), TIMES, WHO, st.just(0)),
    st.tuples(st.just("ended"), TIMES, st.just(""), st.integers(0, 5)),
)


@given(st.lists(ANY, max_size=14, unique=True), st.data())
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_order_no_session_lives_that_something_ended(
    tmp_path: Path, told: list[tuple[str, int, str, int]], data: st.DataObject
) -> None:
    """Started, ended, disabled and enabled in random orders and batches, some told twice: what was ended has a call.

    And nothing has one that nothing ended, but for what is within the leeway.
    """
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    if not Path(tmp_path, "ledger.sqlite3").exists():
        with closing(Ledger.open(url)) as ledger:
            ledger.upgrade()
    run = uuid.uuid4()  # none that was drawn before: all examples have one ledger
    deliveries = data.draw(
        st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=3) if told else st.just([]))])
    )
    found = set[str]()
    with registry(url) as known:
        while deliveries:
            size = data.draw(st.integers(1, len(deliveries)))
            found.update(planned(known, *(made(run.hex, *each) for each in deliveries[:size])))
            deliveries = deliveries[size:]
    for kind, at, who, n in told:
        if kind == "started":
            ends = [
                time
                for what, time, whom, id_ in told
                if (what, whom) == ("disabled", who) or (what, id_) == ("ended", n)
            ]
            name = f"{run.hex}-{at}-{who}-{n}"
            if any(at <= time for time in ends):
                assert name in found
            if not any(at <= time + 5 for time in ends):
                assert name not in found


def made(run: str, kind: str, at: int, who: str, n: int) -> Event:
    """The event that is *told*, in a world of its own."""
    sub_id = {"format": "email", "email": f"{who}-{run}@example.com"}
    match kind:
        case "started":
            return started(at, session(f"{run}-{at}-{who}-{n}", session_id=f"{run}-{n}"), who=sub_id)
        case "ended":
            return ended(at, f"{run}-{n}")
        case _:
            return event(f"user.{kind}", at, {"sub_id": sub_id})
