"""Whatever strangers send: no crash, nothing of a secret told, no more time and memory than its size is worth."""

import time
import tracemalloc

import pytest
from canary_search import forms
from directory_inlets import DIRECTORIES
from door_inlets import DOORS
from hostile import BODIES, SECRET
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inlet import Inlet
from message_inlets import MESSAGES
from provider_inlets import PROVIDERS

from tasks.doors import KINDS

INLETS = [*MESSAGES, *PROVIDERS, *DOORS, *DIRECTORIES]
PROPERTY = settings(
    max_examples=150, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
)
SECONDS = 20  # of the processor, with tracemalloc at work: a busy machine takes a few, a quadratic reader takes hours
COPIES = 12  # of a body, at once


FORMS = dict(forms(SECRET))


def assert_untold(told: object) -> None:
    """Neither as text nor as bytes, nor in the base64 that dead letters keep bodies in."""
    seen = ascii(told).encode()
    assert [form for form, disguised in FORMS.items() if disguised in seen] == []


@pytest.mark.parametrize("inlet", INLETS, ids=lambda inlet: inlet.name)
@PROPERTY
@given(data=st.data())
def test_nothing_that_comes_in_crashes_or_is_told(inlet: Inlet, data: st.DataObject) -> None:
    """Each input has a documented outcome, and a token in clear in it stands in no log, dead letter or error."""
    assert_untold(inlet.tell(data.draw(inlet.drawn)))


def test_every_kind_of_door_is_an_inlet() -> None:
    """A new one as well."""
    assert {inlet.name for inlet in DOORS} == {f"door, {kind}" for kind, each in KINDS.items() if each.make}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("inlet", INLETS, ids=lambda inlet: inlet.name)
def test_a_body_made_to_hurt_takes_time_and_memory_in_proportion(inlet: Inlet, body: str) -> None:
    """10 MB, 100 000 levels, numbers without end: refused or read like anything else."""
    given_in = inlet.holding(BODIES[body])
    tracemalloc.start()
    started = time.process_time()
    try:
        told = inlet.tell(given_in)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_untold(told)
    assert time.process_time() - started < SECONDS
    assert peak < COPIES * max(len(BODIES[body]), 1_000_000)
