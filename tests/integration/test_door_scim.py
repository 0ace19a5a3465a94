"""SCIM as directories really send it: whom they deactivate is logged out, and nobody else is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from door_arrivals import Headers
from in_one_test import in_one_test
from sqlalchemy import Connection

from tasks.doors import Arrival, Verdict
from tasks.doors.scim import Settings
from tasks.doors.scim.adapter import Scim
from tasks.events import Event
from worker.database.cipher import RowCipher
from worker.database.engine import Database, open_database
from worker.database.tables import door_accounts
from worker.doors.accounts import DoorAccounts

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
URL: Final = "https://revoker.example.com/scim"
SOURCE: Final = "https://directory.example.com"
ISSUER: Final = "https://login.example.com/tenant"


@dataclass
class Directory:
    """What a directory says to the door, and what the door has made of it."""

    database: Database
    now: datetime = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)
    told: list[tuple[str, str]] = field(default_factory=list)  # type and externalId of each event

    def __post_init__(self) -> None:
        self.adapter = Scim(Settings.model_validate({"kind": "scim", "url": URL, "subject_issuer": ISSUER}))
        self.cipher = RowCipher(b"subject-key-of-a-unit-test-0123456789")

    def say(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> tuple[int, Any]:
        """Return status and document of the answer."""
        verdict = self.judged(method, path, body, query, **headers)
        document = json.loads(verdict.answer.body) if verdict.answer.body else None
        return verdict.answer.status, document

    def judged(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Verdict:
        """Return the verdict, whose events are noted."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        written = Headers({"Content-Type": "application/scim+json", **headers})
        self.now += timedelta(seconds=1)
        arrival = Arrival(method, path, query, written, content, self.now)
        with self.database.writing() as connection:
            verdict = self.adapter.judge(arrival, self.accounts(connection))
        for each in verdict.events:
            event = each.parsed(SOURCE, self.now)
            assert isinstance(event, Event), each
            self.told.append((event.type, _sub(each.data["sub_id"])))
        return verdict

    def accounts(self, connection: Connection) -> DoorAccounts:
        """Return what the door keeps."""
        return DoorAccounts(connection, self.cipher, "scim")

    def adds(self, name: str = "ada", **more: Any) -> str:
        """Provision somebody; return our id of them."""
        body = {"schemas": [USER], "userName": f"{name}@example.com", "externalId": f"x-{name}", "active": True, **more}
        status, document = self.say("POST", "/Users", body)
        assert status == 201, document
        return str(document["id"])

    def patches(self, account: str, *operations: Any, schemas: Any = (PATCH,)) -> tuple[int, Any]:
        """Send *operations*."""
        return self.say("PATCH", f"/Users/{account}", {"schemas": list(schemas), "Operations": list(operations)})

    def active(self, account: str) -> bool:
        """Return what the door answers of somebody."""
        status, document = self.say("GET", f"/Users/{account}")
        assert status == 200, document
        return bool(document["active"])


def _sub(subject: Any) -> str:
    return str(next(each["sub"] for each in subject["identifiers"] if each["format"] == "iss_sub"))


OFF: Final = {"op": "replace", "path": "active", "value": False}
ON: Final = {"op": "replace", "path": "active", "value": True}
DISABLED: Final = ("user.disabled", "x-ada")
ENABLED: Final = ("user.enabled", "x-ada")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a ledger for all tests of this file."""
    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('scim') / 'ledger.sqlite3'}")
    opened.upgrade()
    yield opened
    opened.engine.dispose()


@pytest.fixture
def directory(database: Database) -> Directory:
    """Return a directory that has said nothing yet."""
    with database.writing() as connection:
        connection.execute(door_accounts.delete())
    return Directory(database)


DEACTIVATIONS: Final = [
    [OFF],
    [{"op": "Replace", "path": "active", "value": "False"}],
    [{"op": "replace", "path": "active", "value": "false"}],
    [{"op": "REPLACE", "value": {"active": False}}],
    [{"op": "replace", "value": {"active": "False"}}],
    [{"op": "add", "path": "active", "value": False}],
    [{"op": "replace", "path": "Active", "value": False}],
    [{"op": "replace", "path": f"{USER}:active", "value": False}],
    [{"op": "replace", "value": {f"{USER}:active": False}}],
    [{"op": "replace", "value": {"active": False, f"{ENTERPRISE}:department": "Sales", "nickName": "a"}}],
    [{"op": "Replace", "path": 'emails[type eq "work"].value', "value": "a@b.example"}, OFF],
    [{"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "m1"}, OFF],
    [{"op": "Remove", "path": "title"}, OFF],
    [{"op": "Remove", "path": "emails", "value": [{"value": "a@b.example"}]}, OFF],
]


@in_one_test
@pytest.mark.parametrize("operations", DEACTIVATIONS)
def test_however_a_directory_deactivates_somebody_they_are_out(directory: Directory, operations: list[Any]) -> None:
    """OneUptime#3852, Cogtrix#122, ssoready#155 and scimmy#86: no spelling of it is a no-op or a 400."""
    with directory.database.writing() as connection:
        connection.execute(door_accounts.delete())
    directory.told.clear()
    ada = directory.adds()
    status, document = directory.patches(ada, *operations)
    assert (status, document["active"]) == (200, False)
    assert directory.told == [DISABLED]
    assert not directory.active(ada)


def test_who_is_reactivated_is_told_as_enabled(directory: Directory) -> None:
    """FusionAuth#3311: Entra's way back is no 400; the time of it is later than that of the way out."""
    ada = directory.adds()
    [out] = directory.judged("PATCH", f"/Users/{ada}", {"schemas": [PATCH], "Operations": [OFF]}).events
    way_back = {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": "True"}]}
    [back] = directory.judged("PATCH", f"/Users/{ada}", way_back).events
    assert directory.told == [DISABLED, ENABLED]
    assert back.at > out.at
    assert back.event_id != out.event_id


def test_what_is_said_again_is_answered_alike_and_is_no_event(directory: Directory) -> None:
    """Parabol#12557: a directory deactivates and never deletes, again in every cycle."""
    ada = directory.adds()
    first, again = directory.patches(ada, OFF), directory.patches(ada, OFF)
    assert first == again
    assert directory.told == [DISABLED]


def test_an_import_of_people_who_are_disabled_logs_out_nobody(directory: Directory) -> None:
    """snipe-it#14597: they are taken in, and stay disabled."""
    ada = directory.adds(active=False)
    assert not directory.active(ada)
    assert directory.patches(ada, OFF)[0] == 200
    assert directory.told == []


def test_who_is_deleted_is_out_and_who_was_out_is_not_told_again(directory: Directory) -> None:
    """DELETE of somebody active is their end; a second one is 404."""
    ada = directory.adds()
    assert directory.say("DELETE", f"/Users/{ada}") == (204, None)
    assert directory.told == [DISABLED]
    assert directory.say("DELETE", f"/Users/{ada}")[0] == 404
    ada = directory.adds()
    directory.patches(ada, OFF)
    directory.say("DELETE", f"/Users/{ada}")
    assert directory.told == [DISABLED, DISABLED]


def test_a_put_is_read_like_a_patch(directory: Directory) -> None:
    """FusionAuth#1871 and okta-blog-archive#1956: Okta's PUT with active:false; one without active says nothing."""
    ada = directory.adds()
    body = {"schemas": [USER, ENTERPRISE], "id": ada, "userName": "ada@example.com", "externalId": "x-ada"}
    names = {"name": {"givenName": "Ada"}, "emails": [{"value": "ada@example.com", "primary": True}], "groups": []}
    whole = {**body, **names, "meta": {"resourceType": "User"}, ENTERPRISE: {"department": "Sales"}, "locale": "en-US"}
    assert directory.say("PUT", f"/Users/{ada}", whole)[0] == 200
    assert directory.active(ada)
    status, document = directory.say("PUT", f"/Users/{ada}", {**whole, "active": False})
    assert (status, document["active"]) == (200, False)
    assert directory.say("PUT", f"/Users/{ada}", whole)[1]["active"] is False
    assert directory.told == [DISABLED]


def test_disabled_in_the_directory_is_disabled_here_whatever_else_is_sent(directory: Directory) -> None:
    """snipe-it#19526 and Unleash#9336: no mapping of other attributes keeps the deactivation out."""
    ada = directory.adds()
    mapped = [
        {"op": "Add", "path": "preferredLanguage", "value": "de"},
        {"op": "Add", "path": "urn:example:User:x", "value": 1},
    ]
    assert directory.patches(ada, *mapped)[0] in {200, 204}
    assert directory.patches(ada, {"op": "Replace", "path": "displayName", "value": "A"}, OFF)[0] == 200
    assert directory.told == [DISABLED]


@in_one_test
@pytest.mark.parametrize(
    "query",
    [
        "filter=userName%20eq%20%22ADA@example.com%22",
        "filter=externalId%20eq%20%22x-ada%22",
        "filter=userName+Eq+%22ada@example.com%22&startIndex=1&count=100",
        "filter=userName%20sw%20%22ada%22%20and%20active%20eq%20true",
        "",
    ],
)
def test_a_directory_finds_whom_it_provisioned(directory: Directory, query: str) -> None:
    """Entra and Okta look before they create: else they would create everybody again."""
    with directory.database.writing() as connection:
        connection.execute(door_accounts.delete())
    ada = directory.adds()
    status, document = directory.say("GET", "/Users", query=query)
    assert (status, document["totalResults"]) == (200, 1)
    assert document["Resources"][0]["id"] == ada
    assert directory.say("GET", "/Users", query="filter=userName%20eq%20%22nobody%22")[1]["totalResults"] == 0


def test_a_name_is_taken_once_in_whatever_capitals(directory: Directory) -> None:
    """409 uniqueness, upon which directories look for the account."""
    directory.adds()
    status, document = directory.say("POST", "/Users", {"schemas": [USER], "userName": "ADA@example.com"})
    assert (status, document["scimType"]) == (409, "uniqueness")
    bob = directory.adds("bob")
    rename = {"op": "replace", "path": "userName", "value": "Ada@Example.com"}
    assert directory.patches(bob, rename, OFF)[0] == 409
    assert directory.active(bob)
    assert directory.told == []


def test_a_version_that_is_gone_changes_nothing(directory: Directory) -> None:
    """RFC 7644 section 3.14."""
    ada = directory.adds()
    version = directory.say("GET", f"/Users/{ada}")[1]["meta"]["version"]
    off = {"schemas": [PATCH], "Operations": [OFF]}
    assert directory.say("PATCH", f"/Users/{ada}", off, **{"If-Match": 'W/"77"'})[0] == 412
    assert directory.told == []
    assert directory.say("PATCH", f"/Users/{ada}", off, **{"If-Match": version})[0] == 200
    assert directory.told == [DISABLED]


def test_no_name_stands_in_the_database(directory: Directory) -> None:
    """Names are encrypted, look-ups go by keyed digests, and nothing else of a person is kept."""
    directory.adds(displayName="Ada Byron", phoneNumbers=[{"value": "+441234567"}])
    file = Path(str(directory.database.engine.url.database))
    written = b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    assert [name for name in (b"ada@example.com", b"x-ada", b"Byron", b"441234567") if name in written] == []


@in_one_test
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/Users/{id}", b""),
        ("PATCH", "/Users/{id}", b"\xff{"),
        ("PATCH", "/Users/{id}", [1]),
        ("PATCH", "/Users/{id}", {"schemas": [PATCH], "Operations": [{"op": "destroy", "path": "active"}]}),
        ("PATCH", "/Users/{id}", {"schemas": [PATCH], "Operations": [{**OFF, "value": "perhaps"}]}),
        ("PUT", "/Users/{id}", {"schemas": [USER], "active": False}),
        ("PUT", "/Users/{id}", b"[" * 5000),
        ("POST", "/Users", {"schemas": [USER], "userName": ""}),
        ("POST", "/Users", {"schemas": [USER], "userName": "x" * 300}),
        ("POST", "/Bulk", {"schemas": [], "Operations": []}),
        ("GET", "/Groups", None),
        ("GET", "/Users/nobody", None),
        ("TRACE", "/Users", None),
        ("GET", "/../etc/passwd", None),
    ],
)
def test_what_is_wrong_is_an_error_of_scim_and_changes_nobody(
    directory: Directory, method: str, path: str, body: Any
) -> None:
    """With the status of RFC 7644 section 3.12; never with a 500."""
    with directory.database.writing() as connection:
        connection.execute(door_accounts.delete())
    ada = directory.adds()
    status, document = directory.say(method, path.format(id=ada), body)
    assert 400 <= status < 500 or status == 501
    assert document["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (directory.told, directory.active(ada)) == ([], True)


def test_a_directory_learns_what_we_serve(directory: Directory) -> None:
    """PATCH is announced, else Okta sends PUT (okta-blog-archive#1956)."""
    assert directory.say("GET", "/ServiceProviderConfig")[1]["patch"] == {"supported": True}
    assert directory.say("GET", "/ResourceTypes")[1]["totalResults"] == 1
    assert directory.say("GET", "/Schemas")[0] == 200
