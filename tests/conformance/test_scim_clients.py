"""What strangers' conformance clients say of the SCIM door."""

import httpx2
from door_installation import SCIM_SECRET, Installed
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

pytest_plugins = ["door_fixtures"]


def test_scim2_tester_finds_nothing_but_what_we_mean(installed: Installed) -> None:
    """Nobody is neither active nor inactive here: who takes `active` away changes nothing."""
    installed.open(REVOKER_DOORS__SCIM__RATE="100000")
    with httpx2.Client(base_url=installed.scim, headers={"Authorization": f"Bearer {SCIM_SECRET}"}) as client:
        results = check_server(SyncSCIMClient(client))
    assert len(results) > 30
    assert {each.title for each in results if each.status is not Status.SUCCESS} == {"check_remove_attribute"}
