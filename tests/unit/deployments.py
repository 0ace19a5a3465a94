"""What docker/ and deploy/ hold, read once: the compose file, the manifests, and the processes that both start."""

from pathlib import Path
from typing import Any

import yaml

from worker.settings.console import ConsoleSettings
from worker.settings.door import DoorProcessSettings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
KUBERNETES = ROOT / "deploy" / "kubernetes"
PROCESSES = ("intake", "worker", "recorder", "console", "door", "sweep")
SINGLE = {"console": ConsoleSettings().port, "door": DoorProcessSettings().port}  # one of each, which serves others


def manifests(folder: Path) -> dict[str, Any]:
    """Every resource of the kustomization in *folder*, by kind and name."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    documents = [each for name in listed for each in yaml.safe_load_all((folder / name).read_text())]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in documents}


BASE = manifests(KUBERNETES / "base") | manifests(KUBERNETES / "doors")
PODS = {name: BASE[f"Deployment {name}"]["spec"]["template"]["spec"] for name in PROCESSES}
