"""Fixtures that every test may ask for. A server that is missing fails the test: nothing is skipped, nothing mocked."""

import atexit
import gc
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from servers import ForkServer, PostgresCluster, Processes, RabbitNode, ServerMissingError, only_loopback
from servers.private import private_node
from servers.processes import environment
from servers.shared import close_root, open_root, shared

pytest_plugins = ["in_one_test", "longest_first", "unclosed_databases"]

# With it jsonschema builds 38 grammars when it is imported, 2 s of CPU in each pytest worker, for formats that no test
# asks it for.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment] # as Python marks what must not be imported


def _runs_the_workers(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the servers before the first xdist worker starts.

    Under nohup(1) SIGHUP is ignored, and would be in every process of ours: no test could see what it does there.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if _runs_the_workers(config):
        open_root()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers after the last xdist worker, Ctrl-C included."""
    if _runs_the_workers(config):
        close_root()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what stays: the tests themselves (3 s of CPU in each pytest worker)."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # the interpreter clears up as ever
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the test's own processes said when it failed."""
    report = yield
    processes = getattr(item, "funcargs", {}).get("processes")
    if report.failed and isinstance(processes, Processes):
        report.sections += [(f"output of {name}", tail) for name, tail in processes.tails]
    return report


@pytest.fixture(autouse=True, scope="session")
def _network_is_off() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        only_loopback(patch)
        yield


@pytest.fixture(scope="session")
def rabbitmq() -> RabbitNode:
    """Share one RabbitMQ node among all tests; each takes a virtual host of its own (`rabbitmq_vhost`)."""
    try:
        return shared(RabbitNode, "rabbitmq")
    except ServerMissingError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def rabbitmq_vhost(rabbitmq: RabbitNode) -> Iterator[str]:
    """Name a fresh virtual host on the shared node, as `rabbitmq.queue_counts` takes it."""
    vhost = rabbitmq.new_vhost()
    yield vhost
    rabbitmq.delete_vhost(vhost)


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> str:
    """Return the AMQP URL of a fresh virtual host on the shared node."""
    return rabbitmq.url(rabbitmq_vhost)


@pytest.fixture
def private_rabbitmq() -> Iterator[RabbitNode]:
    """Lend the test an empty RabbitMQ node of its own, to stop, kill, freeze and starve."""
    try:
        with private_node() as node:
            yield node
    except ServerMissingError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def postgres() -> PostgresCluster:
    """Share one PostgreSQL cluster among all tests; each takes a database of its own (`postgres_url`)."""
    try:
        return shared(PostgresCluster, "postgres")
    except ServerMissingError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def postgres_url(postgres: PostgresCluster) -> Iterator[str]:
    """Return the SQLAlchemy URL of an empty PostgreSQL database."""
    database = postgres.new_database()
    yield postgres.url(database)
    postgres.drop_database(database)


@pytest.fixture(params=["embedded", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty broker, of each kind in turn: every promise holds on both."""
    if request.param == "embedded":
        return f"embedded:///{tmp_path / 'broker.sqlite3'}"
    url: str = request.getfixturevalue("rabbitmq_url")
    return url


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Fork the project's processes from one that has imported the worker; started with the first of them."""
    server = ForkServer(environment())
    yield server
    server.close()


@pytest.fixture
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    """Start the project's own processes; what still runs at the end is killed, what they said shows on failure.

    They are forked where a fork shows the same; marked `executed`, they are started by exec(2), as an operator does.
    """
    home = tmp_path / "processes"
    home.mkdir()
    executed = request.node.get_closest_marker("executed") is not None
    running = Processes(home, None if executed else request.getfixturevalue("fork_server"))
    yield running
    running.close()
