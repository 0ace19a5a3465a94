"""A console that knows its people: `pytest_plugins = ["sign_in_fixtures"]`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from cli_installation import Installation
from sign_in_door import Door

pytest_plugins = ["cli_fixtures"]


@pytest.fixture
async def door(installation: Installation) -> AsyncIterator[Door]:
    """A console that is not open yet."""
    async with AsyncExitStack() as opened:
        made = Door(installation, opened)
        opened.push_async_callback(made.close)
        yield made
