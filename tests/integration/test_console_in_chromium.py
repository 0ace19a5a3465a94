"""The console in a real browser: what operators do there, by mouse and by keyboard, with script and without."""

from collections.abc import Callable

import pytest
from chromium_desk import DeskAtWork
from chromium_stories import STORIES
from in_one_test import in_one_test

pytest_plugins = ["chromium_fixtures"]


@pytest.mark.timeout(300)
@in_one_test
@pytest.mark.parametrize("story", STORIES, ids=lambda each: each.__name__)
def test_the_console_does_in_a_browser_what_it_says(
    desk_at_work: DeskAtWork, story: Callable[[DeskAtWork], None]
) -> None:
    """One installation and one Chromium for all stories; none may leave a complaint of the browser behind."""
    story(desk_at_work)
    desk_at_work.close_tabs()
