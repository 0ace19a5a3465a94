"""Every alert has its runbook, and so has every reason of a dead letter: the one that the command line names."""

import re

import click
import pytest
from chaos.alerts.rules import Alert, alerts
from documents import PAGES, ROOT, SPAN, anchors
from in_one_test import in_one_test

from worker.cli.dead_letters import dead_letter
from worker.operations.remedies import REMEDIES, RUNBOOKS

PAGE = ROOT / RUNBOOKS
LABELS = {"provider": "genesys", "reason": "http.5xx"}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_each_alert_leads_to_its_runbook(alert: Alert) -> None:
    """Its link names a heading that exists, and its severity says how soon somebody must look."""
    page, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert anchor == alert.name.lower()
    assert anchor in anchors(ROOT / page)
    assert alert.severity in {"critical", "warning"}


def test_each_command_of_an_alert_can_be_typed() -> None:
    """Whoever is woken copies it."""
    commands = [text for each in alerts() if (text := each.annotated(LABELS).get("command"))]
    assert commands
    for line in commands:
        _, group, name, *options = line.split()
        command = dead_letter.get_command(click.Context(dead_letter), name)
        assert group == "dlq"
        assert command is not None
        assert command.make_context(name, options).params["reason"]


@in_one_test
@pytest.mark.parametrize("reason", REMEDIES)
def test_each_remedy_leads_to_its_runbook_which_begins_with_the_same_words(reason: str) -> None:
    """`dlq causes` shows the first sentence of what the runbook says at length: two texts would drift apart."""
    remedy = REMEDIES[reason]
    page, _, anchor = remedy.runbook.partition("#")
    assert anchor in anchors(ROOT / page)
    [told] = [text for heading, text in sections() if reason in SPAN.findall(heading)]
    done = re.search(r"^\* \*\*Do\*\*: (.*?)(?=^\* \*\*|\Z)", told, re.MULTILINE | re.DOTALL)
    assert done is not None
    assert plain(done[1]).startswith(remedy.do)


def sections() -> list[tuple[str, str]]:
    """The headings below `Dead letters by reason`, each with its text."""
    part = PAGES[PAGE].partition("\n## Dead letters by reason\n")[2]
    return re.findall(r"^### ([^\n]*)\n(.*?)(?=^#+ |\Z)", part, re.MULTILINE | re.DOTALL)


def plain(text: str) -> str:
    """*text* as a line without links and backticks."""
    return " ".join(re.sub(r"\[([^\]]*)\]\([^)\s]+\)", r"\1", text).replace("`", "").split())
