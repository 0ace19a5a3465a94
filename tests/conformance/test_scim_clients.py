"""What strangers' conformance clients say of the SCIM door."""

from typing import Any

import httpx2
from door_installation import SCIM_SECRET, Installed
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import SearchRequest
from scim2_tester import Status, check_server

pytest_plugins = ["door_fixtures"]


def test_scim2_tester_finds_nothing_but_what_we_mean(installed: Installed) -> None:
    """Nobody is neither active nor inactive here: who takes `active` away changes nothing."""
    installed.open(REVOKER_DOORS__SCIM__RATE="100000")
    with httpx2.Client(base_url=installed.scim, headers={"Authorization": f"Bearer {SCIM_SECRET}"}) as client:
        results = check_server(SyncSCIMClient(client))
    assert len(results) > 30
    assert {each.title for each in results if each.status is not Status.SUCCESS} == {"check_remove_attribute"}


async def test_a_client_that_reads_our_schema_first_disables_somebody(installed: Installed) -> None:
    """As Canaille does: it finds the account by externalId, and replaces the whole of it with its own attributes."""
    installed.open(REVOKER_DOORS__SCIM__WHOLE_SCHEMA="true")
    with httpx2.Client(base_url=installed.scim, headers={"Authorization": f"Bearer {SCIM_SECRET}"}) as session:
        client = SyncSCIMClient(session)
        client.discover()
        model: Any = client.get_resource_model("User")
        about = {"user_name": "ada", "external_id": "x-ada", "preferred_language": "en", "display_name": "Ada"}
        more = {"name": model.Name(family_name="Byron"), "emails": [model.Emails(value="ada@example.com")]}
        client.create(model(**about, **more, active=True))
        [found] = client.query(model, query_parameters=SearchRequest(filter='externalId eq "x-ada"')).resources
        locked = model(**about, **more, active=False, id=found.id)
        assert client.replace(locked).active is False
    assert (await installed.scims("GET", f"/Users/{found.id}"))[1]["active"] is False
    assert 'revoker_door_events_total{door="scim",event_type="user.disabled"} 1' in installed.system.page("door")[1]
