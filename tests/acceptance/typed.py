"""Code blocks of the documents as an operator types them: each line of ours against a real installation."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import click
from click.testing import CliRunner, Result

from worker.cli import main

TOLD: Final = frozenset({0, 1, 3, 4})  # a command that did its work, whatever it found


def lines_of(block: str, replaced: Mapping[str, str]) -> Iterator[str]:
    """The lines of *block* without comments, with the page's names *replaced* by those of an installation."""
    for line in block.replace("\\\n", " ").splitlines():
        command = re.sub(r"\s+# .*$", "", line).strip()
        for name, real in replaced.items():
            command = command.replace(name, real)
        if command and not command.startswith("#"):
            yield command


def typed(line: str, folder: Path, codes: Collection[int] = TOLD) -> Result:
    """Run a line `revoker … [< file] [> file]` in this process, with a yes where it asks; it ends as *codes* say.

    What it prints comes back, and stands in the file.
    """
    command, _, output = line.partition(" >")
    command, _, given = command.partition(" <")
    words = shlex.split(command)
    assert words[0] == "revoker", f"{line!r} is for a shell"
    stdin = (folder / given.strip()).read_text() if given else ""
    yes = ["--yes"] if _asks(words[1:]) and not {"--dry-run", "--yes"} & {*words} else []
    result = CliRunner().invoke(main, [*words[1:], *yes], input=stdin, prog_name="revoker")
    assert result.exit_code in codes, f"{line}: exit code {result.exit_code}\n{result.output}\n{result.exception!r}"
    if output:
        (folder / output.strip()).write_text(result.stdout)
    return result


def parsed(line: str) -> None:
    """Parse a line `revoker …` and run nothing. Raises UsageError where the command does not take what is typed."""
    words = shlex.split(line)[1:]
    command, arguments = _named(words)
    command.make_context(line, arguments)


def _asks(words: list[str]) -> bool:
    """Whether the command that *words* name asks before it changes something."""
    return any("--yes" in parameter.opts for parameter in _named(words)[0].params)


def _named(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that *words* name, and what they give it."""
    command: click.Command | None = main
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        command = command.get_command(click.Context(command), rest.pop(0))
    assert command is not None, f"there is no command {' '.join(words)}"
    return command, rest
