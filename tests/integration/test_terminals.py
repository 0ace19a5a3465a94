"""`revoker` on terminals of all codings, and where its output cannot be written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

REVOKER = str(Path(sys.executable).with_name("revoker"))
ENVIRONMENT = {"PATH": os.environ["PATH"], "REVOKER_SUBJECT_KEY": "k" * 32, "COLUMNS": "80"}


def revoker(
    *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """What `revoker` does with that stdout."""
    return subprocess.run(
        [REVOKER, *arguments],
        env=ENVIRONMENT | variables,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("coding", ["latin-1", "cp1252", "ascii"])
@pytest.mark.parametrize("arguments", [("--help",), ("config", "show"), ("config", "show", "-o", "json")], ids=" ".join)
def test_every_coding_is_served(coding: str, arguments: tuple[str, ...]) -> None:
    """Each text is of that coding; JSON says the same in all of them."""
    done = revoker(*arguments, PYTHONIOENCODING=coding, REVOKER_ENVIRONMENT="Łódź → •••")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(coding)
    if "json" in arguments:
        assert "Łódź → •••" in {each["value"] for each in json.loads(text)["items"]}


@pytest.mark.parametrize("arguments", [("--help",), ("config", "show")], ids=" ".join)
@pytest.mark.parametrize("how", ["full", "closed", "no reader"])
def test_a_stdout_that_cannot_be_written_is_one_line(arguments: tuple[str, ...], how: str) -> None:
    """Exit 1, and no stack trace: who reads an empty file learns that it is none of ours."""
    if how == "full":
        with Path("/dev/full").open("wb") as full:
            done = revoker(*arguments, stdout=full)
    elif how == "closed":
        command = ["sh", "-c", 'exec "$@" >&-', "sh", REVOKER, *arguments]
        done = subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE, timeout=60, check=False)
    else:
        reader, writer = os.pipe()
        os.close(reader)
        done = revoker(*arguments, stdout=writer)
        os.close(writer)
    assert done.returncode == 1
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("Error: stdout cannot be written (")
