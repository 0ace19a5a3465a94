"""Every alert has its runbook."""

import pytest
from chaos.alerts.rules import Alert, alerts
from documents import ROOT, anchors


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_each_alert_leads_to_its_runbook(alert: Alert) -> None:
    """Its link names a heading that exists, and its severity says how soon somebody must look."""
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert anchor == alert.name.lower()
    assert anchor in anchors(ROOT / page)
    assert alert.severity in {"critical", "warning"}
