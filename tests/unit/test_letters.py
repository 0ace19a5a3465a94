"""What names a dead letter: two messages that a replay would tell apart are two letters, one message is one."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_one_test import in_one_test
from letter_examples import (
    MAC,
    MAKERS,
    NOW,
    REFUSAL,
    SUBJECTS,
    TIMED,
    again,
    arrived,
    event,
    headers,
    of_unit,
    replayed,
)

from tasks.outcome import Reason
from tasks.plan import RefusedUnit
from tasks.records import DeadLetter, digest
from worker.broker import messages
from worker.broker.messages import unreadable_letter
from worker.broker.provenance import Provenance
from worker.intake import dead_letters

made = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
DIFFERENT: Final[Mapping[str, Mapping[str, Any]]] = {
    "another body": {"body": b'{"sub_id": {"format": "opaque", "id": "ada"} }'},
    "another content type": {"content_type": "application/cloudevents+json"},
    "no content type": {"content_type": None},
    "another user": {"user": "stranger"},
    "no user": {"user": None},
    "another signature": {"headers": headers(x_revocation_signature="a..c")},
    "no signature": {"headers": headers(x_revocation_signature=None)},
    **{f"another {name}": {"headers": headers(**{name: "urn:z"})} for name in TIMED},
    "one attribute more": {"headers": headers(**{"ce-subject": "x"})},
    "an attribute of another type": {"headers": headers(**{"ce-specversion": 1})},
    "an attribute under another name": {"headers": headers(**{"ce-id": None, "cloudEvents:id": "e1"})},
}


@in_one_test
@made
@pytest.mark.parametrize("change", DIFFERENT.values(), ids=DIFFERENT)
def test_what_a_replay_would_tell_apart_is_two_letters(
    make: Callable[[Provenance], DeadLetter], change: Mapping[str, Any]
) -> None:
    """Nobody's message takes the place of another one's letter, nor of its tombstone."""
    mine, other = (make(MAC.verify(each)) for each in (arrived(), arrived(**change)))
    assert mine.dead_letter_id != other.dead_letter_id


@made
def test_every_delivery_of_one_message_is_one_letter(make: Callable[[Provenance], DeadLetter]) -> None:
    """Whatever the broker writes onto it on the way."""
    first, second = arrived(), arrived(headers=headers(x_delivery_count=3, x_death=[{"queue": "q"}]))
    second.delivery_info["redelivered"] = True
    mine, late = (make(MAC.verify(each)) for each in (first, second))
    assert mine.dead_letter_id == late.dead_letter_id
    assert (mine.redelivered, late.redelivered) == (False, True)


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_no_two_sequences_of_parts_have_one_digest(one: list[bytes], other: list[bytes]) -> None:
    """Each part stands behind its length."""
    assert (digest(*one) == digest(*other)) == (one == other)


@given(
    *(
        st.fixed_dictionaries(
            {
                "body": st.sampled_from([b"", b"a", b'"'] * 2),
                "content_type": st.sampled_from([None, "", "a", '"']),
                "user": st.sampled_from([None, "a", "b"]),
                "headers": st.dictionaries(
                    st.sampled_from(["ce-id", "ce-a", messages.SIGNATURE]), st.sampled_from(["", "a", 1, True])
                ),
            }
        )
        for _ in range(2)
    )
)
def test_letters_are_one_where_their_replays_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The id is the same exactly where the messages that would be published are."""
    both = [dead_letters.of_refused(REFUSAL, MAC.verify(arrived(**each)), NOW) for each in (one, other)]
    replays = [replayed(MAC.letters.sign(letter)) for letter in both]
    bare = [
        (each.body, each.content_type, *sorted((name, repr(value)) for name, value in each.headers.items()))
        for each in (
            replace(
                each, headers={k: v for k, v in each.headers.items() if k not in (messages.LETTER, messages.VOUCHER)}
            )
            for each in replays
        )
    ]
    assert (both[0].dead_letter_id == both[1].dead_letter_id) == (bare[0] == bare[1])


@made
def test_a_replay_brings_along_all_that_the_first_delivery_proved(make: Callable[[Provenance], DeadLetter]) -> None:
    """Field by field; and what dies again is the same letter, of the next generation."""
    first = MAC.verify(arrived())
    letter = MAC.letters.sign(make(first))
    second = MAC.verify(again(replayed(letter)))
    part = letter.provider
    differs = {"replays": 1, "letter": letter.dead_letter_id, "vouched_at": NOW, "only_provider": part}
    for field in fields(Provenance):
        expected = differs.get(field.name, getattr(first, field.name))
        assert getattr(second, field.name) == expected, field.name
    refused_again = dead_letters.of_refused(REFUSAL, second, NOW)
    assert (refused_again.dead_letter_id, refused_again.replays) == (letter.dead_letter_id, 1)
    assert refused_again.provider == part
    assert replayed(MAC.letters.sign(refused_again)).headers.get(messages.REPLAY_PROVIDER) == part


def test_a_replayed_part_that_dies_again_is_the_same_letter() -> None:
    """Whatever it was first refused for."""
    unit = MAC.letters.sign(of_unit(MAC.verify(arrived())))
    assert of_unit(MAC.verify(again(replayed(unit)))).dead_letter_id == unit.dead_letter_id


def test_the_parts_of_a_replayed_event_are_letters_of_their_own() -> None:
    """Two of them cannot share the event's."""
    whole = MAC.letters.sign(dead_letters.of_refused(REFUSAL, MAC.verify(arrived()), NOW))
    provenance = MAC.verify(again(replayed(whole)))
    units = [RefusedUnit(name, Reason.ROUTE_UNKNOWN_PROVIDER) for name in ("x", "y")]
    ids = {each.dead_letter_id for each in dead_letters.of_units(event(), units, provenance, NOW, SUBJECTS)}
    assert len(ids | {whole.dead_letter_id}) == 3


def test_a_door_and_a_provider_are_part_of_the_identity() -> None:
    """They come under a voucher only."""
    ids = set()
    for ours in ({}, {messages.DOOR: messages.CELERY_DOOR}, {messages.REPLAY_PROVIDER: "x"}, {messages.USER: "hr"}):
        vouched = MAC.sign(messages.event(b"{}", "user.disabled", headers=ours))
        ids.add(dead_letters.of_refused(REFUSAL, MAC.verify(again(vouched)), NOW).dead_letter_id)
    assert len(ids) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"other"},
        {"content_type": "text/plain"},
        {"content_type": None},
        {"user": "stranger"},
        {"user": None},
        {"headers": headers(**{"ce-id": "e2"})},
        {"headers": headers(x_revocation_signature="a..c")},
        {"headers": headers(x_revocation_user="hr")},
        {"headers": headers(task="other")},
    ],
)
def test_what_nobody_can_read_is_told_apart_all_the_same(change: Mapping[str, Any]) -> None:
    """It is counted and told of; a copy with other headers of the broker's is the same."""
    mine = unreadable_letter(arrived(), "task.not_json").dead_letter_id
    assert unreadable_letter(arrived(**change), "task.not_json").dead_letter_id != mine
    assert unreadable_letter(arrived(headers=headers(x_delivery_count=2)), "task.not_json").dead_letter_id == mine
