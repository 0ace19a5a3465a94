"""The way to the ledger for whoever must not wait for it."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.database.engine import Database
from worker.database.thread import DatabaseThread
from worker.ledger import LedgerRefused, LedgerUnavailable


@pytest.fixture
def desk(tmp_path: Path) -> DatabaseThread:
    """Of a database that nobody has asked yet."""
    return DatabaseThread(f"sqlite:///{tmp_path}/ledger.sqlite3")


async def test_a_question_that_hangs_holds_nobody_up(desk: DatabaseThread) -> None:
    """A database that does not answer keeps no worker from stopping; what was asked in vain meanwhile is not asked."""
    hung, asked = threading.Event(), []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await desk.run(lambda _: hung.wait())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await desk.run(lambda _: asked.append("in vain"))
    assert all(each.daemon for each in threading.enumerate() if each.name == "ledger")
    hung.set()
    await desk.run(lambda _: asked.append("later"))
    assert asked == ["later"]
    desk.close()


async def test_what_the_ledger_refuses_is_raised_where_it_was_asked(desk: DatabaseThread) -> None:
    """As unavailable, whether it is away or will not take it; a bug stays what it is."""

    def failing(error: Exception) -> Callable[[Database], object]:
        def question(_: Database) -> object:
            raise error

        return question

    for error in (LedgerUnavailable("away"), LedgerRefused("no")):
        with pytest.raises(LedgerUnavailable, match=str(error)):
            await desk.run(failing(error))
    with pytest.raises(ZeroDivisionError):
        await desk.run(failing(ZeroDivisionError()))
    assert isinstance(await desk.run(lambda database: database), Database)
    desk.close()


def test_what_is_closed_has_let_go_of_the_database(desk: DatabaseThread, tmp_path: Path) -> None:
    """What was asked before is done first; then SQLite has put away the files that it keeps beside its own."""

    def question(database: Database) -> list[str]:
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE asked (at)")
        return [each.name for each in tmp_path.iterdir()]

    (tmp_path / "ledger.sqlite3").touch()
    answer = desk.ask(question)
    desk.close()
    assert len(answer.result(0)) > 1
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.sqlite3"]
