"""What we are made of: every byte by its hash, asked for known vulnerabilities, listed, and run with few rights."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from servers import free_port

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock")) + sorted(ROOT.glob("benchmarks/*.lock"))
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text()
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
KNOWN = {
    "id": "PYSEC-0000-1",
    "summary": "of a test",
    "affected": [{"package": {"name": "click", "ecosystem": "PyPI"}}],
}


@contextmanager
def advisories(status: int, answer: object) -> Iterator[str]:
    """A service that knows of nothing but *answer*, about click."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer if asked["package"]["name"] == "click" else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's own output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def audit(service: str, lock: Path = LOCKS[1], **variables: str) -> subprocess.CompletedProcess[str]:
    """Ask *service* about *lock* as `make audit` does."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "AUDIT_SERVICE": service, **variables}
    command = [str(ROOT / ".ci" / "audit"), str(lock)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_a_known_vulnerability_fails_the_audit() -> None:
    """It is named, with the package."""
    with advisories(200, {"vulns": [KNOWN]}) as service:
        done = audit(service)
    assert done.returncode == 1
    assert re.search(r"click +\S+ +PYSEC-0000-1", done.stdout)


def test_an_audit_that_finds_nothing_says_so() -> None:
    """Every package was asked for."""
    with advisories(200, {}) as service:
        done = audit(service)
    assert (done.returncode, done.stdout) == (0, f"audit: {LOCKS[1]}: no known vulnerability\n")


def test_offline_the_audit_says_that_it_did_not_happen_and_fails_only_where_it_must() -> None:
    """Nobody takes it for a good result; one line, no stack trace. A service that is down is the same."""
    nobody = f"http://127.0.0.1:{free_port()}"
    done = audit(nobody)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "NOT AUDITED" in done.stdout
    assert audit(nobody, AUDIT_REQUIRED="1").returncode == 1
    with advisories(503, {}) as service:
        assert "NOT AUDITED" in audit(service).stdout


def test_a_dependency_without_a_hash_fails_the_audit_offline_as_well(tmp_path: Path) -> None:
    """A lock is of no use when a line of it is open."""
    (tmp_path / "open.lock").write_text("click==8.1.0\n")
    done = audit(f"http://127.0.0.1:{free_port()}", tmp_path / "open.lock")
    assert done.returncode == 1
    assert "hash" in done.stderr


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_dependency_is_pinned_by_its_hash(lock: Path) -> None:
    """One version each, and at least one SHA-256."""
    entries = re.split(r"\n(?=[a-z0-9])", lock.read_text().replace("\\\n", ""))
    assert len(entries) > 20
    unpinned = [entry.split()[0] for entry in entries if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)]
    assert unpinned == []


def test_every_installation_asks_for_hashes() -> None:
    """In the image and in the Makefile: of a lock, or our own code without its dependencies."""
    text = f"{DOCKERFILE}\n{(ROOT / 'Makefile').read_text()}"
    commands = [line for line in text.splitlines() if re.search(r"\bpip\b.* install ", line) and "uv==" not in line]
    assert len(commands) >= 5
    assert [line for line in commands if "--require-hashes -r" not in line and "--no-deps" not in line] == []


def test_the_bill_of_materials_names_every_dependency_with_its_hashes(tmp_path: Path) -> None:
    """CycloneDX, from the lock of the image."""
    file = tmp_path / "revoker.cdx.json"
    # A make within `make test` would name the folders it enters among the commands.
    dry = ["make", "--no-print-directory", "-n", "-o", ".venv/.dev", "sbom"]
    recipe = subprocess.run(dry, cwd=ROOT, capture_output=True, check=True)
    command = recipe.stdout.decode().replace("\\\n", "").replace("revoker.cdx.json", str(file))
    subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, check=True, timeout=60)
    bill = json.loads(file.read_text())
    named = {each["name"] for each in bill["components"]}
    assert named == set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements-otel.lock").read_text(), re.MULTILINE))
    assert all(each["externalReferences"][0]["hashes"] for each in bill["components"])
    assert bill["metadata"]["component"]["name"] == "revoker"


def test_the_image_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    """A numeric user that is not root, set last; only the listed files come in, and no variable carries a secret."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (\S+)", last, re.MULTILINE)[-1] == "10001:10001"
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert [line for line in ignored if not line.startswith("#")][0] == "*"  # noqa: RUF015 - the first rule
    taken = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert taken == {"requirements-otel.lock", "pyproject.toml", "README.md", "tasks", "worker"}
    assert not re.search(r"^(ARG|ENV)\b.*(SECRET|PASS|TOKEN|KEY|URL)", DOCKERFILE, re.MULTILINE | re.IGNORECASE)


def test_every_container_of_ours_has_a_root_it_cannot_write_to() -> None:
    """Read-only, /tmp in memory, no capability, no new privilege, secrets as files only."""
    services = yaml.safe_load(COMPOSE)["services"]
    ours = {name: each for name, each in services.items() if each["image"] == "revoker"}
    assert ours.keys() >= {"intake", "worker", "recorder", "console", "console-user", "declare", "keys"}
    wanted = {
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "user": "${REVOKER_UID:?run docker/prepare first}:${REVOKER_GID:?run docker/prepare first}",
        "privileged": None,
    }
    for name, each in ours.items():
        assert {key: each.get(key) for key in wanted} == wanted, name
    assert not re.search(r"^ +\w*(PASSWORD|SECRET|TOKEN|KEY):", COMPOSE, re.MULTILINE)
