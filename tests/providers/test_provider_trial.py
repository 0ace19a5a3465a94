"""`revoker provider test`: a table is tried on a twin made of its examples, and what is wrong is named."""

import pytest
from declared_tables import at_server

from tasks.providers.declared.user_ids import is_user_id, sample
from worker.operations.provider_trial import PLANTED, tried


@pytest.mark.parametrize("name", ["acme", "genesys", "finbourne", "lister", "jobber"])
def test_a_table_that_is_right_passes_every_case(name: str) -> None:
    """Examples, silence, resets, pages, redirects, echoes, and the ids that are nobody's."""
    cases = tried(at_server(name, "http://127.0.0.1:9"))
    assert [each for each in cases if not each.is_ok] == []
    assert {"silence", "a reset", "half a success", "a redirect", "a page", "an echo"} <= {each.case for each in cases}


def test_a_provider_that_gives_a_secret_away_is_found() -> None:
    """The trial is worth something: it fails where it must."""
    settings = at_server("acme", "http://127.0.0.1:9")
    assert settings.user
    leaking = settings.user.model_copy(
        update={"headers": {"X-Note": PLANTED}, "request": f"POST /{PLANTED}/{{user_id}}"}
    )
    cases = tried(settings.model_copy(update={"user": leaking}))
    assert "gives away a secret" in {each.told for each in cases}


@pytest.mark.parametrize(
    "rule", ["uuid", "email", "number", "00u[A-Za-z0-9]{17}", "[a-z]{3,9}@[a-z]{2}", "[|:@-]{1,3}x"]
)
def test_the_sample_of_a_rule_is_one_that_it_admits(rule: str) -> None:
    """The trial asks about somebody."""
    assert is_user_id(rule, sample(rule))
