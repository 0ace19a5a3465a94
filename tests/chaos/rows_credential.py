"""P7 to P9: a credential of ours that is refused, tokens of users that are dead, people nobody knows."""

import base64
import json
import urllib.request
from typing import Any, Final

from servers import Daemon, wait_until
from system import SOURCE

from chaos.load import Unit
from chaos.rows import row
from chaos.rows_provider import UNLIMITED, burned
from chaos.rows_worker import ON_RABBITMQ
from chaos.said import HOLD, attempts, holds
from chaos.scene import Scene
from tasks.outcome import State
from tasks.providers import declared, genesys
from worker.calls.holds import store
from worker.sandbox import SandboxConfig

HANDFUL: Final = 5
OURS: Final[str] = genesys.DELETE_TOKEN  # made with the worker's own credential
CALLED: Final = {OURS, declared.REVOKE_USER}  # as the worker calls it, in code or by a table
QUICK: Final = {"hold": {"first": 1, "cap": 2}}
LOGGED_OUT: Final = "the user had logged out before: ours finds a dead token, and says so"


def _refused(status: int, operation: str = OURS, **more: Any) -> dict[str, Any]:
    return {"fault": "status", "status": status, "operation": operation, "provider": "genesys", **more}


@row("P7", fast=(), settings=QUICK)
def our_credential_is_refused(scene: Scene) -> None:
    """403, 401, then invalid_client for the worker's own credential: a handful of calls, one alert, none burned."""
    scene.system.script(_refused(403, times=4), _refused(401))
    _, worker, _ = scene.start(env=UNLIMITED)
    scene.publish()
    wait_until(lambda: _answered(scene, OURS, 401), 60, "a 401")
    scene.system.script(_refused(401, "genesys.login"))
    wait_until(lambda: _answered(scene, "genesys.login", 401), 30, "a refused login")
    _heal(scene)
    before = _calls_before_the_hold(worker)
    made = sum(each["operation"] in CALLED for each in attempts(worker.output, "genesys"))
    scene.remark = f"({before} calls before the hold, {made - len(scene.load.users)} that failed in all)"
    assert before <= HANDFUL
    assert [(each["provider"], each["scope"]) for each in holds(worker.output)] == [("genesys", "worker")]
    assert not burned(scene)


@row("P7 login", fast=(), settings=QUICK)
def the_token_endpoint_is_down(scene: Scene) -> None:
    """The token endpoint answers 503, then later than the timeout: a handful of calls, one alert."""
    scene.system.script(
        _refused(503, "genesys.login", times=4),
        {"fault": "slow", "seconds": 3, "operation": "genesys.login", "provider": "genesys"},
    )
    _, worker, _ = scene.start(env={**UNLIMITED, "REVOKER_PROVIDERS__GENESYS__TIMEOUT": "1"})
    scene.publish()
    wait_until(lambda: len(_requests(scene, "genesys.login")) > 5, 60, "a login that is slow")
    wait_until(lambda: holds(worker.output), 30, "the hold")
    _heal(scene)
    before = _calls_before_the_hold(worker)
    scene.remark = f"({before} calls before the hold, {burned(scene)} attempts)"
    assert before <= 2 * HANDFUL
    assert [each["provider"] for each in holds(worker.output)] == ["genesys"]
    assert burned(scene) <= 2 * HANDFUL


@row("P8", fast=(), settings=QUICK, duplicates=lambda events: events // 20, harmless=LOGGED_OUT)
def users_have_logged_out(scene: Scene) -> None:
    """Users' own tokens are dead already while our credential is refused: already_revoked, and only ours are held."""
    own = [unit for unit in scene.load.sessions if unit.provider == "genesys"]
    gone = scene.chance.sample(own, len(scene.load.events) // 20)
    for unit in gone:
        _log_out(scene, unit)
    scene.system.script(_refused(403))
    _, worker, _ = scene.start(env=UNLIMITED)
    scene.publish()
    ids = {unit.event_id for unit in scene.load.sessions} - {unit.event_id for unit in scene.load.users}
    wait_until(lambda: ids <= scene.system.ledger.settled_or_dead(SOURCE, ids), 90, "every user's token to be dead")
    assert {_state(scene, unit) for unit in gone} == {State.ALREADY_REVOKED}
    wait_until(lambda: holds(worker.output), 30, "the hold")
    _heal(scene)
    assert [(each["provider"], each["scope"]) for each in holds(worker.output)] == [("genesys", "worker")]
    assert not burned(scene)


@row("P9 one", fast=ON_RABBITMQ, reasons=frozenset({"provider.not_found"}))
def one_user_is_unknown(scene: Scene) -> None:
    """404 for one user: a dead letter, provider.not_found; nobody else is concerned."""
    unknown = scene.chance.choice(scene.load.users)
    scene.system.script(_refused(404, match=unknown.key))
    _, worker, _ = scene.start(env=UNLIMITED)
    scene.publish()
    scene.drain()
    assert [letter.event_id for letter in scene.system.ledger.dead_letters()] == [unknown.event_id]
    assert not holds(worker.output)


@row("P9 gone", fast=(), duplicates=1, harmless="the user had been removed before: there is nothing left to revoke")
def one_user_is_unknown_and_that_will_do(scene: Scene) -> None:
    """404 for one user who was removed before, where the settings take that for settled: already_revoked."""
    removed = scene.chance.choice(scene.load.users)
    _remove(scene, removed)
    scene.system.script(_refused(404, match=removed.key))
    _, worker, _ = scene.start(env={**UNLIMITED, "REVOKER_PROVIDERS__GENESYS__NOT_FOUND": "settled"})
    scene.publish()
    scene.drain()
    assert _state(scene, removed) is State.ALREADY_REVOKED
    assert not holds(worker.output)


@row("P9 everyone", fast=(), settings=QUICK)
def nobody_is_known(scene: Scene) -> None:
    """404 for everyone, as behind a wrong base URL: one alert, the calls are kept, the first few are replayed."""
    scene.system.script({"fault": "status", "status": 404, "provider": "genesys"})
    _, worker, _ = scene.start(env=UNLIMITED)
    scene.publish()
    wait_until(lambda: holds(worker.output), 60, "the hold")
    wait_until(lambda: store.standing(scene.system.ledger.database)[0].failed_probes > 1, 30, "a probe that failed")
    scene.system.heal()
    scene.healed()
    buried = len(scene.system.ledger.dead_letters())
    _replay(scene, "provider")  # .not_found of a user id, .no_endpoint where none was asked for
    scene.drain()
    scene.remark = f"({buried} dead letters, replayed)"
    ((held, reason),) = [(each["provider"], each["reason"]) for each in holds(worker.output)]
    assert held == "genesys"
    assert reason in {"provider.not_found", "provider.no_endpoint"}
    assert buried <= 2 * 9 + 2  # of ours and of the users' own: the tenth in a row is one too many; and the probes


def _heal(scene: Scene) -> None:
    scene.system.heal()
    scene.healed()
    scene.drain()


def _requests(scene: Scene, operation: str) -> list[dict[str, Any]]:
    return [entry for entry in scene.journal() if (entry["provider"], entry["operation"]) == ("genesys", operation)]


def _answered(scene: Scene, operation: str, status: int) -> bool:
    return any(entry["status"] == status for entry in _requests(scene, operation))


def _calls_before_the_hold(worker: Daemon) -> int:
    """The calls with our own credential that were made until the alert, each with its login."""
    return sum(each["operation"] in CALLED for each in attempts(worker.output.partition(HOLD)[0], "genesys"))


def _state(scene: Scene, unit: Unit) -> State:
    [row] = [each for each in scene.system.ledger.calls_of_event(unit.event_id) if each.provider == unit.provider]
    return row.state


def _log_out(scene: Scene, unit: Unit) -> None:
    """As the user does: at the provider, with the token."""
    _ask(scene, "DELETE", "api/v2/tokens/me", f"Bearer {scene.load.token(unit)}")


def _remove(scene: Scene, user: Unit) -> None:
    """As an administrator does, with a login of the sandbox's client."""
    known = SandboxConfig()
    pair = base64.b64encode(f"{known.client_id}:{known.client_secret.get_secret_value()}".encode()).decode()
    granted = _ask(scene, "POST", "oauth/token", f"Basic {pair}", b"grant_type=client_credentials")
    _ask(scene, "DELETE", f"api/v2/tokens/{user.key}", f"Bearer {json.loads(granted)['access_token']}")


def _ask(scene: Scene, method: str, path: str, credential: str, body: bytes | None = None) -> bytes:
    url, headers = f"{scene.system.base_url}/genesys/{path}", {"Authorization": credential}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=10) as answer:
        content: bytes = answer.read()
    return content


def _replay(scene: Scene, reason: str) -> None:
    options = ("--died-of", reason, "--reason", "the base URL is mended", "--yes")
    scene.system.revoker("dead-letter", "replay", *options)
