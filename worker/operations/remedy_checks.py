"""Whether a remedy is in force now: its provider is examined, or keys and settings looked at; nothing is revoked."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from tasks.providers import kind_of
from tasks.providers.oauth import LOGGED_IN
from tasks.sealing import SealError
from worker.ledger import CauseRow
from worker.operations.doctor.examination import run
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.providers import examine
from worker.operations.remedies import Proof, Remedy, Standing
from worker.operations.sealing_keys import stored_keys
from worker.settings import Settings

CANARY_TELLS: Final = "only a canary tells the rest"
_OF_PROVIDERS: Final = frozenset({Proof.NETWORK, Proof.ANSWER, Proof.CREDENTIAL, Proof.PERMISSION, Proof.REPLY})
_WAY: Final = ("provider.dns", "provider.connection", "provider.tls")  # to its hosts


def standings(settings: Settings, asked: Sequence[tuple[CauseRow, Remedy]]) -> list[Standing]:
    """Return whether each remedy is in force for its cause now. Each provider is examined once, all of them at once."""
    names = {row.provider for row, remedy in asked if remedy.proof in _OF_PROVIDERS}
    found = _examined(settings, [name for name in settings.providers if name in names])
    return [_standing(settings, row, remedy.proof, found) for row, remedy in asked]


def _examined(settings: Settings, names: Collection[str]) -> list[Finding]:
    return [*run([("provider.connection", name, partial(examine, settings, name)) for name in names])]


def _standing(settings: Settings, row: CauseRow, proof: Proof | None, found: Sequence[Finding]) -> Standing:
    name = row.provider or ""
    match proof:
        case Proof.KEY:
            return _of_keys(settings, row.detail.get("kid"))
        case Proof.CONFIGURED:
            is_known = name in settings.providers
            return Standing(is_known, f"{name} is {'' if is_known else 'not '}configured")
        case None:
            return Standing(None, "nothing that can be looked at tells")
    if name not in settings.providers:
        return Standing(holds=False, told=f"{name or 'the provider'} is not configured")
    return _of_provider(settings, row, proof, [each for each in found if each.about == name])


def _of_provider(settings: Settings, row: CauseRow, proof: Proof, found: Sequence[Finding]) -> Standing:
    bad = next((each for each in found if each.state in {"failed", "unknown"} and _matters(each, proof)), None)
    if bad:
        return Standing(None if bad.state == "unknown" else False, bad.detail)
    name, told = row.provider or "", {each.check: each.detail for each in found}
    answer = told.get("provider.credential", "")
    is_own = kind_of(settings.providers[name]).uses_own_credential(row.operation or "")
    match proof:
        case Proof.NETWORK:
            return Standing(holds=True, told=f"{told.get('provider.dns', name)} can be reached")
        case Proof.ANSWER:
            return Standing(holds=True, told=f"it answers: {answer}")
        case Proof.CREDENTIAL if is_own and answer == LOGGED_IN:
            return Standing(holds=True, told="it takes our login")
        case Proof.PERMISSION if is_own and "provider.permission" in told:
            return Standing(holds=True, told=told["provider.permission"])
    return Standing(None, f"it answers: {answer}; {CANARY_TELLS}")


def _matters(each: Finding, proof: Proof) -> bool:
    """Whether a bad finding disproves: what is wrong with our login says nothing of the way to its hosts."""
    if proof is Proof.NETWORK:
        return each.check in _WAY
    return each.check != "provider.clock" and (each.check != "provider.permission" or proof is Proof.PERMISSION)


def _of_keys(settings: Settings, kid: str | None) -> Standing:
    try:
        kids = {each.kid for each in stored_keys(settings.keys_dir)}
    except (SealError, OSError) as error:
        return Standing(None, f"the sealing keys cannot be read ({type(error).__name__})")
    if kid is None:
        return Standing(None, "the dead letters name no key")
    return Standing(kid in kids, f"key {kid} is {'' if kid in kids else 'not '}in keys_dir")
