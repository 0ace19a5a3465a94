"""What mends each reason of a dead letter: one line in the code, its runbook in the documents."""

import shlex
from pathlib import Path

import click
import pytest
from in_one_test import in_one_test

from tasks.events import RejectionCode
from tasks.outcome import Reason, event_reason, http_reason
from worker.cli import main
from worker.operations.remedies import REMEDIES, Proof, Replay, remedy_for

ROOT = Path(__file__).parents[2]
EVERY = [*map(str, Reason), *(event_reason(code.value) for code in RejectionCode), "http.4xx.<name>"]
CAUSE = "a1b2c3"


def test_each_reason_has_one_remedy_and_nothing_else_has() -> None:
    """A reason that is added asks for what mends it."""
    assert sorted(REMEDIES) == sorted(EVERY)


@in_one_test
@pytest.mark.parametrize("reason", EVERY)
def test_each_remedy_fits_a_line_and_types_a_command_that_exists(reason: str) -> None:
    """Whoever is woken copies it; a placeholder in it would be typed as well."""
    remedy = REMEDIES[reason]
    assert len(remedy.do) <= 100
    assert "<" not in remedy.command(CAUSE)
    if not remedy.command(CAUSE):
        assert remedy.replay is Replay.USELESS
        return
    words = shlex.split(remedy.command(CAUSE))[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    assert command.make_context("revoker", words).params.get("cause", CAUSE) == CAUSE


@in_one_test
@pytest.mark.parametrize(
    ("reason", "detail", "replay", "proof"),
    [
        ("http.4xx.conflict", {"code": "x"}, Replay.CANARY, Proof.REPLY),
        ("http.429", {}, Replay.SLOWLY, Proof.REPLY),
        ("crypto.seal", {"problem": "unknown_key", "kid": "k1"}, Replay.CANARY, Proof.KEY),
        ("crypto.seal", {"problem": "tampered"}, Replay.USELESS, None),
        ("budget.exhausted", {"last": "auth.forbidden"}, Replay.CANARY, Proof.PERMISSION),
        ("budget.exhausted", {"last": "net.dns"}, Replay.CANARY, Proof.NETWORK),
        ("budget.exhausted", {}, Replay.CANARY, None),
        ("event.stale", {}, Replay.LOOK_FIRST, None),
        ("guard.flood", {}, Replay.RELEASE, None),
        ("of.a.newer.release", {}, Replay.CANARY, None),
    ],
)
def test_the_detail_narrows_a_remedy_down(
    reason: str, detail: dict[str, str], replay: Replay, proof: Proof | None
) -> None:
    """No key opens what was sealed wrongly; a spent budget asks for what held the provider."""
    remedy = remedy_for(reason, detail)
    assert (remedy.replay, remedy.proof) == (replay, proof)


def test_a_spent_budget_names_what_held_the_provider() -> None:
    """The section stays its own: it says whom to replay first."""
    remedy = remedy_for("budget.exhausted", {"last": "auth.forbidden"})
    assert remedy.do == f"held for auth.forbidden: {remedy_for('auth.forbidden', {}).do}"
    assert remedy.runbook == "docs/runbooks.md#budgetexhausted"


def test_a_name_of_one_4xx_is_no_other_reason() -> None:
    """`http.4xx.<name>` stands for all of them, whatever the vendor's number is."""
    assert remedy_for(http_reason(418), {}) == REMEDIES["http.4xx.<name>"]
