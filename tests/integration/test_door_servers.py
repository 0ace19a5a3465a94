"""What the doors keep, on PostgreSQL as on SQLite."""

from datetime import UTC, datetime

from test_door_scim import DISABLED, ENABLED, OFF, ON, USER, Directory

from worker.database.cipher import RowCipher
from worker.database.engine import open_database
from worker.database.thread import DatabaseThread
from worker.doors.outbox import Outbox, OutgoingEvent


async def test_outbox_and_accounts_are_alike_on_postgresql(postgres_url: str) -> None:
    """A name that is taken spoils no transaction; the same event waits once."""
    database = open_database(postgres_url)
    database.upgrade()
    directory = Directory(database)
    ada, bob = directory.adds(), directory.adds("bob")
    taken = {"op": "replace", "path": "userName", "value": "Ada@Example.com"}
    assert directory.say("POST", "/Users", {"schemas": [USER], "userName": "ADA@example.com"})[0] == 409
    assert directory.patches(bob, taken, OFF)[0] == 409
    assert directory.active(bob)
    assert [directory.patches(ada, each)[0] for each in (OFF, ON)] == [200, 200]
    assert directory.say("DELETE", f"/Users/{ada}")[0] == 204
    assert directory.told == [DISABLED, ENABLED, DISABLED]
    assert directory.say("GET", "/Users", query="filter=userName%20sw%20%22bob%22")[1]["totalResults"] == 1
    database.engine.dispose()
    thread = DatabaseThread(postgres_url, durable=True)
    outbox = Outbox(thread, RowCipher(b"subject-key-of-a-unit-test-0123456789"), 10)
    for number in (1, 2, 2, 3):
        await outbox.put([OutgoingEvent("idp", "user.disabled", b"%d" % number)])
    waiting = await outbox.first(10)
    assert [event.body for _, event in waiting] == [b"1", b"2", b"3"]
    await outbox.drop(number for number, _ in waiting[:2])
    assert outbox.waiting["idp"].events == 1
    await outbox.tell({"idp": datetime.now(UTC)}, {})
    await outbox.tell({}, {"idp": datetime.now(UTC)})
    thread.close()
