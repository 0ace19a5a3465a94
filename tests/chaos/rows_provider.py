"""P3 to P6, P10: what the providers answer."""

import itertools
import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from servers import free_port, wait_until

from chaos.doors import Impostor, answer
from chaos.proxy import BLACK_HOLE, Proxy
from chaos.rows import row
from chaos.rows_worker import DEAD_TOKEN, IN_FLIGHT, ON_RABBITMQ
from chaos.running import percentile
from chaos.said import holds
from chaos.scene import Scene, when
from tasks.providers.wibmo.ciphers.schemes import Cipher, make_cipher
from worker.sandbox.config import SANDBOX_CIPHER

UNLIMITED: Final = {"REVOKER_PROVIDERS__GENESYS__RATE_LIMIT": "0"}  # else 300 calls a minute, as the vendor documents
DELETE_TOKEN: Final = "genesys.delete_token"
CAP: Final = 4.0  # seconds: the longest Retry-After honoured
IN_TIME: Final = 0.5  # seconds in which calls on their way arrive


@row("P3", fast=(), settings={"retry": {"base": 1, "cap": 1, "max_attempts": 12, "retry_after_cap": CAP}})
def told_to_wait(scene: Scene) -> None:
    """429 with Retry-After in every form: no call comes earlier than asked; ours holds all its calls."""
    now = time.time()
    forms = {"3": 3.0, "2.5": 2.5, formatdate(now + 3600, usegmt=True): CAP, "1000000000": CAP}
    forms |= {formatdate(now - 3600, usegmt=True): 0.0, "-5": 0.0, "soon; \t1e9": 0.0}
    units = scene.chance.sample([unit for unit in scene.load.units if unit.provider == "finbourne"], len(forms))
    ours = scene.chance.choice(scene.load.users[: len(scene.load.users) // 2])
    told = [{"fault": "status", "status": 429, "retry_after": form, "times": 1} for form in [*forms, "3"]]
    scene.system.script(*({**fault, "match": unit.key} for fault, unit in zip(told, [*units, ours], strict=True)))
    scene.start(env=UNLIMITED)
    scene.publish()
    scene.drain()
    journal = scene.journal()
    for unit, (form, seconds) in zip(units, forms.items(), strict=True):
        asked, again = [when(entry) for entry in journal if entry["key"] == unit.key]
        assert again - asked >= max(seconds, 0.9), f"the same call after {again - asked:.1f} s: {form}"
    kept = [
        (when(entry), entry["key"])
        for entry in journal
        if (entry["provider"], entry["operation"]) == (ours.provider, DELETE_TOKEN)
    ]
    asked, _ = [at for at, key in kept if key == ours.key]
    early = [at - asked for at, _ in kept if asked + IN_TIME < at < asked + 3.0]
    assert not early, f"others' calls with our credential after {early}"


@row(
    "P4",
    fast=ON_RABBITMQ,
    settings={"hold": {"first": 1, "cap": 1}},
    duplicates=lambda events: events // 20,
    harmless=DEAD_TOKEN,
)
def server_errors_and_lost_answers(scene: Scene) -> None:
    """500, 502, 503, 504 and resets, one to three times for every fifth token; and answers lost on the way."""
    kinds: list[dict[str, Any]] = [
        *({"fault": "status", "status": status} for status in (500, 502, 503, 504)),
        {"fault": "reset"},
    ]
    units = scene.chance.sample(scene.load.units, len(scene.load.units))
    # With more of them broken the provider is held most of the time, and each fault waits for a probe of its own.
    lost, broken = units[: len(scene.load.events) // 20], units[len(units) * 4 // 5 :]
    scene.system.script(
        *({"fault": "reset_after", "match": unit.key, "times": 1} for unit in lost),
        *({**scene.chance.choice(kinds), "match": unit.key, "times": scene.chance.randint(1, 3)} for unit in broken),
    )
    scene.start(env=UNLIMITED)
    scene.publish()


CODES: Final = (999, "", "SUCCESS", None, True)  # answers that can be read, and do not say success
SUCCESS: Final = b'{"resCode": 100, "resDesc": "SUCCESS"}'
OTHER_KEY: Final = SecretStr("another-key-worth-nothing-at-all")


@row(
    "P5",
    fast=(),
    providers=("wibmo",),
    settings={"retry": {"base": 1, "cap": 1, "max_attempts": 100}},
    reasons=frozenset({"provider.rescode"}),
)
def answers_nobody_can_believe(scene: Scene) -> None:
    """200 with broken JSON, another key's ciphertext, each bit flipped once, unknown resCodes: never a success."""
    cipher, port = make_cipher(SANDBOX_CIPHER), free_port()
    bodies = [*_unknown_codes(cipher), *_unreadable(cipher)]
    scene.start("intake", "recorder")
    scene.start("worker", env={**UNLIMITED, "REVOKER_PROVIDERS__WIBMO__BASE_URL": f"http://127.0.0.1:{port}/wibmo"})
    told = itertools.chain(bodies, itertools.cycle(bodies[len(CODES) :]))
    with Impostor((answer("200 OK", body, "Content-Type: text/plain") for body in told), port) as impostor:
        scene.publish()
        wait_until(lambda: impostor.asked >= len(bodies), 60, f"{len(bodies)} answers")
    with Proxy(urlsplit(scene.system.base_url).port or 0, port):
        scene.healed()
        scene.drain()
    scene.remark = f"({impostor.asked} answers)"
    assert len(scene.system.ledger.dead_letters()) == len(CODES)


def _unknown_codes(cipher: Cipher) -> Iterator[bytes]:
    return (cipher.encrypt(json.dumps({"resCode": code}).encode()) for code in CODES)


def _unreadable(cipher: Cipher) -> Iterator[bytes]:
    yield from (b"", b"<html>maintenance</html>", SUCCESS)
    yield from map(cipher.encrypt, (b"", b"{", b"[]", b"100", b'{"resDesc": "SUCCESS"}'))
    yield make_cipher(SANDBOX_CIPHER.model_copy(update={"key": OTHER_KEY})).encrypt(SUCCESS)
    success = cipher.encrypt(SUCCESS)
    for place in range(8 * len(success)):
        flipped = bytearray(success)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)


@row("P6", fast=(), reasons=frozenset({"http.3xx"}))
def sent_to_a_login_page(scene: Scene) -> None:
    """3xx to a login page, from the APIs and from the token endpoint: no success, and nobody goes there."""
    page = answer("200 OK", b"<form>", "Content-Type: text/html")
    with Impostor(itertools.repeat(page)) as elsewhere:
        sent = {"fault": "status", "location": f"http://127.0.0.1:{elsewhere.port}/login"}
        units = scene.chance.sample(scene.load.sessions, len(scene.load.events) // 10)
        codes = itertools.cycle((301, 302, 303, 307, 308))
        scene.system.script(
            {**sent, "status": 302, "operation": "genesys.login"},
            *({**sent, "status": next(codes), "match": unit.key} for unit in units),
        )
        _, worker, _ = scene.start(env=UNLIMITED)
        scene.publish()
        wait_until(lambda: len(scene.calls_of(units)) == len(units), 60, "all of them to be sent there")
        wait_until(lambda: holds(worker.output), 30, "the worker's own calls to be held")
        scene.system.heal()
        scene.healed()
        scene.drain()
        assert not elsewhere.asked
    assert [each["scope"] for each in holds(worker.output)] == ["worker"]
    assert len(scene.system.ledger.dead_letters()) == len(units)
    assert not burned(scene)


@row("P10", fast=(), links=("worker-genesys-eu",), duplicates=IN_FLIGHT, harmless=DEAD_TOKEN)
def one_provider_is_a_black_hole(scene: Scene) -> None:
    """One provider swallows everything for 60 s under load: others' p99 moves less than 10 %, 50 ms of noise aside."""
    scene.start(env=UNLIMITED)
    batches = len(scene.load.events) // 20
    scene.publish(20)
    scene.wait_revoked(10 / len(scene.load.events))
    warm = time.time()
    scene.publish((batches * 2 // 5) * 20, pause=100 / batches)
    broken = time.time()
    scene.lines["worker-genesys-eu"].break_with(BLACK_HOLE)
    scene.publish(pause=100 / batches)
    scene.stand_still(60 - (time.time() - broken))
    scene.lines["worker-genesys-eu"].heal()
    scene.healed()
    well, beside = _p99(scene, warm, broken), _p99(scene, broken, time.time())
    scene.remark = f"(p99 {well * 1000:.0f} ms before, {beside * 1000:.0f} ms beside it)"
    assert beside <= 1.1 * well + 0.05, scene.remark


def _p99(scene: Scene, since: float, until: float) -> float:
    """Of the other providers' calls published then: seconds from the broker's confirm to their arrival."""
    published = {unit.key: scene.confirmed[unit.event_id] for unit in scene.load.units if unit.provider != "genesys-eu"}
    wait_until(lambda: published.keys() <= {entry["key"] for entry in scene.journal()}, 30, "the others' calls")
    arrived = {entry["key"]: when(entry) for entry in reversed(scene.journal())}
    return percentile(sorted(arrived[key] - at for key, at in published.items() if since <= at < until), 99)


def burned(scene: Scene) -> int:
    """Attempts beyond the first that the calls with the worker's own credential needed."""
    events = [unit.event_id for unit in scene.load.users]
    rows = [each for event_id in events for each in scene.system.ledger.calls_of_event(event_id) if each.operation]
    return sum(each.attempt - 1 for each in rows)
