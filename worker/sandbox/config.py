"""The sandbox's settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from tasks.providers.wibmo.ciphers.config import CipherConfig
from tasks.strict_model import StrictModel
from worker.sandbox.faults import Fault

SANDBOX_CIPHER = CipherConfig(scheme="aes-gcm", key=SecretStr("sandbox-key-worth-nothing-at-all"), key_encoding="raw")


class SandboxConfig(StrictModel):
    """The sandbox's settings; the defaults serve a first run."""

    client_id: str = "sandbox-client"
    client_secret: SecretStr = SecretStr("sandbox-client-secret")
    permissions: tuple[str, ...] = ("oauth:token:delete",)  # of the role of the Genesys client
    api_key: SecretStr = SecretStr("sandbox-api-key")
    cipher: CipherConfig = SANDBOX_CIPHER
    auto_issue: bool = False  # take unknown tokens and references that start with `sbx-`, and unknown users, as live
    token_ttl_seconds: int = Field(default=86_400, gt=0)  # life of a worker's Genesys token (`expires_in`)
    rate_limit_per_minute: int = Field(default=1_000_000, gt=0)  # Genesys calls for each worker token
    latency_seconds: float = Field(default=0.0, ge=0)  # before every answer
    wibmo_success: Literal["flat", "nested", "text"] = "flat"  # the three success shapes that are published
    wibmo_repeated: Literal["refused", "accepted"] = "refused"  # what a dead reference gets: 401, or success again
    faults: tuple[Fault, ...] = ()
    faults_file: Path | None = None  # a JSON list of more faults
    journal_entries: int = Field(default=200_000, gt=0)  # the newest requests, kept in memory
    journal_file: Path | None = None  # gets every request as a JSON line, appended; outlives us
