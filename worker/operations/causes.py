"""The causes of what was given up: how many, of how many people, what mends each, and whether that holds now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tasks.sealing import SealError
from worker.ledger import CauseRow, DeadLetterFilter, DeadLetterState, DeadLetterSummary, Ledger
from worker.ledger.fingerprints import CODES
from worker.operations import RefusedRequest, providers
from worker.operations.dead_letters import OPEN, Selection
from worker.operations.doctor.examination import run
from worker.operations.doctor.findings import Finding
from worker.operations.doctor.providers import examine
from worker.operations.providers import Checked, outcome_in_words
from worker.operations.remedies import Remedy, Test, remedy_for
from worker.operations.sealing_keys import stored_keys
from worker.settings import Settings

LISTED: Final = 20  # causes, where nothing is said of a limit
_UNTOLD: Final = "only a canary tells whether the rest is mended"


@dataclass(frozen=True, slots=True)
class State:
    """Whether a remedy is in force now; *holds* is None where nobody can tell without a revocation. *told* is why."""

    holds: bool | None
    told: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Dead letters of one cause, and what to do about them; *now* is None where nobody looked."""

    row: CauseRow
    remedy: Remedy
    now: State | None = None

    @property
    def code(self) -> str:
        """The provider's own word for its refusal, or the rule of ours that refused an event; empty where none is."""
        return " ".join(self.row.detail[name] for name in CODES if name in self.row.detail)

    @property
    def problem(self) -> str:
        """The reason, with what tells this cause from others of the same reason."""
        return " ".join(filter(None, (self.row.reason, self.code, self.row.detail.get("problem", ""))))

    @property
    def command(self) -> str:
        """What to type once it is mended; empty where nothing but a new event helps."""
        return self.remedy.command(self.row.cause)


@dataclass(frozen=True, slots=True)
class Causes:
    """The sum of all that was selected, and the most frequent of its causes."""

    summary: DeadLetterSummary
    causes: Sequence[Cause]


def find(
    settings: Settings,
    ledger: Ledger,
    selection: Selection,
    states: tuple[DeadLetterState, ...] = OPEN,
    *,
    check: bool = False,
) -> Causes:
    """Find the causes of what is selected in one of *states*; *check* finds out as well which are mended by now.

    A check asks the providers concerned, and revokes nothing. Raises as `Selection.where` does.
    """
    where = replace(selection.where(settings, ledger, states), limit=selection.given.limit or LISTED)
    rows = ledger.dead_letter_causes(where)
    found = [Cause(row, remedy_for(row.reason, row.detail.get("problem"))) for row in rows]
    return Causes(ledger.dead_letter_summary(where), checked(settings, found) if check else found)


def one(settings: Settings, ledger: Ledger, cause: str, *, check: bool = False) -> Cause:
    """Return *cause*, as long as something is open that died of it. Raises RefusedRequest for any other."""
    found = find(settings, ledger, Selection(DeadLetterFilter(cause=cause)), check=check).causes
    if not found:
        raise RefusedRequest(f"{cause}: nothing is open that died of such a cause; `revoker dlq causes` lists them")
    return found[0]


def checked(settings: Settings, causes: Sequence[Cause]) -> list[Cause]:
    """Return *causes*, each with whether its remedy is in force now; each provider is asked once."""
    wanted = {test: _providers(settings, causes, test) for test in (Test.NETWORK, Test.PROVIDER)}
    found = _Found(settings, _reached(settings, wanted[Test.NETWORK]), _answered(settings, wanted[Test.PROVIDER]))
    return [replace(each, now=found.state_of(each)) for each in causes]


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out about the providers concerned, by name."""

    settings: Settings
    reached: Mapping[str, Sequence[Finding]]
    answered: Mapping[str, Checked]

    def state_of(self, cause: Cause) -> State:
        name = cause.row.provider or ""
        match cause.remedy.test:
            case Test.NETWORK if name in self.reached:
                return _of_findings(self.reached[name])
            case Test.PROVIDER if name in self.answered:
                return _of_answer(self.answered[name])
            case Test.KEY:
                return _of_key(self.settings, cause.row.detail.get("kid"))
            case Test.CONFIGURED:
                return _of_configuration(self.settings, name)
        return State(None, "nothing that can be looked at tells")


def _providers(settings: Settings, causes: Sequence[Cause], test: Test) -> list[str]:
    names = {each.row.provider for each in causes if each.remedy.test is test}
    return sorted(names & settings.providers.keys())


def _reached(settings: Settings, names: Collection[str]) -> dict[str, list[Finding]]:
    checks = [("provider.connection", name, partial(examine, settings, name)) for name in names]
    found = [*run(checks)]
    return {name: [each for each in found if each.about == name] for name in names}


def _answered(settings: Settings, names: Collection[str]) -> dict[str, Checked]:
    """No name would mean all of them."""
    return {each.name: each for each in providers.check(settings, names)} if names else {}


def _of_findings(found: Sequence[Finding]) -> State:
    """Proved by the ways to its hosts; whether it takes our login is another question."""
    ways = [each for each in found if each.check in {"provider.dns", "provider.connection", "provider.tls"}]
    bad = [each for each in ways if each.state in {"failed", "unknown"}]
    if bad:
        return State(None if bad[0].state == "unknown" else False, bad[0].detail)
    return State(bool(ways), "every host of it can be reached")


def _of_answer(checked: Checked) -> State:
    """A refusal disproves; an answer proves nothing of a permission, a path or a code."""
    told = outcome_in_words(checked.outcome)
    return State(None, f"it answers ({told}); {_UNTOLD}") if checked.is_ok else State(False, told)


def _of_key(settings: Settings, kid: str | None) -> State:
    try:
        kids = {each.kid for each in stored_keys(settings.keys_dir)}
    except (SealError, OSError) as error:
        return State(None, f"the sealing keys cannot be read ({type(error).__name__})")
    if kid is None:
        return State(None, "the letters name no key")
    return State(kid in kids, f"key {kid} is {'' if kid in kids else 'not '}in keys_dir")


def _of_configuration(settings: Settings, name: str) -> State:
    known = name in settings.providers
    return State(known, f"{name} is {'' if known else 'not '}configured")
