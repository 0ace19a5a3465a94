"""The table of docs/runbooks.md: each alert and the fault that it was tried on."""

from collections.abc import Sequence

from chaos.alerts.recording import FASTER, Recording, recordings
from chaos.alerts.rules import alerts


def alert_rows() -> list[Sequence[str]]:
    """The alerts in the order of the rules; times by the rules' clock."""
    told = {each.alert: each for each in recordings()}
    return [(f"[{it.name}](#{it.name.lower()})", it.severity, *_tried(told[it.name])) for it in alerts()]


def _tried(told: Recording) -> Sequence[str]:
    broken, healed = told.broken * FASTER, told.healed * FASTER
    after = (told.resolved - healed) / 60
    is_over = f"{after:.0f} min after it" if after >= 1 else "with it"
    return told.fault, f"{(healed - broken) / 60:.0f} min", f"{(told.fires - broken) / 60:.0f} min", is_over
