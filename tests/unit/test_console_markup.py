"""Texts of strangers on a page: escaped, harmless, and short until somebody asks for all of it."""

import pytest

from tasks.outcome import State
from worker.console.markup import LONGEST, state, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        ("", "–"),
        ("genesys", '<bdi class="word">genesys</bdi>'),
        ("<b>&\u202e", '<bdi class="word">&lt;b&gt;&amp;�</bdi>'),
        ("urn:source/of.a@very-long-name", "<bdi>urn:<wbr>source/<wbr>of.<wbr>a@<wbr>very-long-name</bdi>"),
    ],
)
def test_a_text_is_shown_as_what_it_is(value: str | None, shown: str) -> None:
    """It can be broken in a narrow column, and is none of the page's own markup."""
    assert text(value) == shown


def test_of_a_long_text_the_beginning_is_shown_and_the_rest_can_be_opened() -> None:
    """Both are escaped."""
    whole = "<" * (LONGEST + 1)
    summary, rest = str(text(whole)).split("</summary>")
    assert summary.count("&lt;") == LONGEST
    assert rest == f"<bdi>{'&lt;' * len(whole)}</bdi></details>"


def test_every_state_of_a_call_has_a_tone() -> None:
    """Good, bad, and what is waited for can be told apart at a glance; the word says which it is."""
    plain = [each.value for each in State if 'class="state plain' in state(each.value)]
    assert plain == ["discarded"]
    assert state("no", "good") == '<span class="state good">no</span>'
    assert state("already_revoked") == '<span class="state good words">already revoked</span>'
    assert state("<i>") == '<span class="state plain">&lt;i&gt;</span>'
