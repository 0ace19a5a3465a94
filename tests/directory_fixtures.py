"""A directory of slapd: `pytest_plugins = ["directory_fixtures"]`."""

import uuid
from collections.abc import Iterator

import pytest
from certificates import Authority
from servers.slapd import Slapd


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory without people, which speaks TLS, by a certificate of the authority beside it."""
    home = tmp_path_factory.mktemp("directory")
    authority = Authority(home / "authority")
    server = Slapd(home / "slapd", authority.issue("127.0.0.1"), authority.file).start()
    server.found()
    yield server
    server.kill9()


@pytest.fixture
def unit(slapd: Slapd) -> str:
    """A place for the people of one test."""
    return slapd.unit(uuid.uuid4().hex)
