"""No secret leaves: markers planted everywhere, the whole story on both brokers, and none of them found."""

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from canary_places import bind_copies, everywhere, never_arrived
from canary_search import Kind, Marker, Place, forms, leaks
from canary_story import REASONS, CanaryStory
from in_one_test import in_one_test
from servers import ForkServer, Processes, RabbitNode

PASSWORD, LEDGER_PASSWORD = (f"sbx-canary-{uuid.uuid4().hex}" for _ in range(2))


@pytest.fixture(params=["embedded", "rabbitmq"])
def node(request: pytest.FixtureRequest) -> RabbitNode | None:
    """A RabbitMQ to starve, with a user whose password is known to nobody; None for the embedded broker."""
    if request.param == "embedded":
        return None
    made: RabbitNode = request.getfixturevalue("private_rabbitmq")
    made.add_user("canary", PASSWORD, rights=".*")
    return made


@pytest.fixture
def story(
    node: RabbitNode | None, tmp_path: Path, processes: Processes, request: pytest.FixtureRequest
) -> Iterator[CanaryStory]:
    """The story, about to begin: all embedded; and with both servers, remote control switched on."""
    settings: dict[str, Any] = {}
    url = f"embedded:///{tmp_path / 'broker.sqlite3'}"
    if node is not None:
        url = f"amqp://canary:{PASSWORD}@127.0.0.1:{node.port}//"
        ledger = request.getfixturevalue("postgres_url").replace("postgres@", f"postgres:{LEDGER_PASSWORD}@")
        settings = {"ledger_url": ledger, "worker": {"remote_control": True}}
    made = CanaryStory(tmp_path / "system", url, processes, node=node, **settings)
    bind_copies(made)
    yield made
    made.close()


@pytest.fixture
def commands(tmp_path: Path, fork_server: ForkServer) -> Iterator[Processes]:
    """What operators run beside the story, forked: of these, what they say is looked at, not their start."""
    home = tmp_path / "commands"
    home.mkdir()
    made = Processes(home, fork_server)
    yield made
    made.close()


@pytest.fixture
def broker_files(node: RabbitNode | None, tmp_path: Path) -> Path:
    """Where the broker keeps its messages: a file and its log, or a node's folder."""
    return tmp_path / "broker.sqlite3" if node is None else node.home


@pytest.mark.executed
@pytest.mark.timeout(300)
def test_no_secret_is_found_anywhere(
    story: CanaryStory, tmp_path: Path, broker_files: Path, commands: Processes
) -> None:
    """Not in logs, messages, task events, files, ledger, commands, stack traces, error reports, argv or metrics.

    On no path: a worker killed, a broker out of memory, a bug. Searched are the output of 30 commands and 1 300 other
    places at least; the providers did see the tokens.
    """
    story.tell()
    places = everywhere(story, tmp_path / "processes", broker_files, commands)
    counts = Counter(place.name.split()[0] for place in places if place.content)
    print(f"\nsearched {sum(counts.values())} places, {sum(len(p.content) for p in places)} bytes: {dict(counts)}")
    assert never_arrived(story) == set()
    found = leaks(places, story.markers)
    assert not found, "\n".join(found)
    assert {letter.reason for letter in story.system.ledger.dead_letters()} >= REASONS
    if story.node is not None:
        assert counts["inspect"] == 8
        assert any(place.name.startswith("body of celeryev task") for place in places)
    least = {
        "cmdline": 4,
        "environ": 4,
        "log": 5,
        "body": 100,
        "headers": 100,
        "broker": 1,
        "ledger": 1100,
        "revoker": 30,
        "error": 4,
        "page": 12,
        "traces": 3,
    }
    assert {name for name, count in least.items() if counts[name] < count} == set()


@in_one_test
@pytest.mark.parametrize("form", [name for name, _ in forms("any")])
@pytest.mark.parametrize("before", ["", "1", "12"])
def test_the_search_finds_a_marker_in_every_disguise(form: str, before: str, tmp_path: Path) -> None:
    """A file with one disguised marker amid other text is reported, and by its form."""
    marker = Marker("planted", "sbx-canary-0123456789abcdef", Kind.SECRET)
    file = tmp_path / "leak"
    file.write_bytes(before.encode() + dict(forms(marker.value))[form] + b" and so on")
    assert f"leak: planted, {form}" in leaks([Place("leak", file.read_bytes())], [marker])


def test_a_marker_may_stand_where_its_kind_has_a_right_to_be() -> None:
    """A name in a call is no leak; a secret there is."""
    name, secret = Marker("name", "canary-name", Kind.NAME), Marker("secret", "canary-secret", Kind.SECRET)
    place = Place("call", b"canary-name canary-secret", frozenset({Kind.NAME}))
    assert leaks([place], [name, secret]) == ["call: secret, plain", "call: secret, quoted"]
