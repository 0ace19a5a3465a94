"""No secret leaves: markers planted everywhere, the whole story on both brokers, and none of them found."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from canary_places import bind_copies, everywhere, never_arrived
from canary_search import Kind, Marker, Place, forms, leaks
from canary_story import REASONS, CanaryStory
from servers import Processes, RabbitNode


@pytest.fixture
def story(broker_url: str, tmp_path: Path, processes: Processes) -> Iterator[CanaryStory]:
    """The story, about to begin, on each broker in turn."""
    made = CanaryStory(tmp_path / "system", broker_url, processes)
    bind_copies(made)
    yield made
    made.close()


@pytest.fixture
def broker_files(broker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where the broker keeps its messages: a file and its log, or a node's folder."""
    if broker_url.startswith("embedded:"):
        return tmp_path / "broker.sqlite3"
    node: RabbitNode = request.getfixturevalue("rabbitmq")
    return node.home


@pytest.mark.timeout(300)
def test_no_secret_is_found_anywhere(story: CanaryStory, tmp_path: Path, broker_files: Path) -> None:
    """Not in logs, messages, headers, files, ledger, command line, error reports or argv; on no path.

    Searched are the output of 30 commands and 1 300 other places at least; the providers did see the tokens.
    """
    story.tell()
    places = everywhere(story, tmp_path / "processes", broker_files)
    counts = Counter(place.name.split()[0] for place in places if place.content)
    print(f"\nsearched {sum(counts.values())} places, {sum(len(p.content) for p in places)} bytes: {dict(counts)}")
    assert never_arrived(story) == set()
    found = leaks(places, story.markers)
    assert not found, "\n".join(found)
    assert {letter.reason for letter in story.system.ledger.dead_letters()} >= REASONS
    least = {"argv": 4, "log": 5, "body": 100, "headers": 100, "broker": 1, "ledger": 1100, "revoker": 30, "error": 4}
    assert {name for name, count in least.items() if counts[name] < count} == set()


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
