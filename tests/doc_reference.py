"""The reference of command line and metrics, made from the code: what each command does, takes, and ends with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import PurePath

import click

from worker.cli import main
from worker.cli.exits import Exit
from worker.observability.metrics import PROCESSES, TABLE, Metric

Row = Sequence[str]
OTHER_NAMES = frozenset({"dlq"})


def exit_codes() -> list[Row]:
    """Each exit code, with its meaning."""
    return [(f"{code.value}", code.meaning) for code in Exit]


def command_rows() -> list[Row]:
    """Each command as it is typed, with its help."""
    return [(_code(_usage(command, context)), _plain(command.help)) for command, context in commands()]


def option_rows() -> list[Row]:
    """Each option of each command, with its default and its help."""
    return [
        (_code(context.command_path.removeprefix("revoker ")), _code(_names(option, context)), *_told(option, context))
        for command, context in commands()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]


def metric_rows() -> list[Row]:
    """Each metric, with its kind, its labels, the processes that show it, and what it says."""
    return [
        (_code(each.name), each.kind, ", ".join(map(_code, each.labels)) or "–", _shown_by(each), _plain(each.help))
        for each in TABLE
    ]


def _shown_by(metric: Metric) -> str:
    return "all" if set(metric.processes) == set(PROCESSES) else ", ".join(metric.processes)


def commands() -> Iterator[tuple[click.Command, click.Context]]:
    """Every command of the tree that is no group."""
    yield from _below(main, click.Context(main, info_name="revoker"))


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden or name in OTHER_NAMES:
            continue
        inner = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from _below(command, inner)
        else:
            yield command, inner


def _usage(command: click.Command, context: click.Context) -> str:
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != command.options_metavar]
    return " ".join([context.command_path, *pieces])


def _names(option: click.Option, context: click.Context) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag or option.count else f"{names} {option.make_metavar(context).removesuffix(' RANGE')}"


def _told(option: click.Option, context: click.Context) -> Row:
    """The default, `–` where there is none, and the help."""
    default = option.get_default(context, call=False)
    is_plain = isinstance(default, (str, int, float, PurePath)) and default is not False
    shown = option.show_default if isinstance(option.show_default, str) else _code(str(default)) if is_plain else "–"
    many = " May be repeated." if option.multiple and "repeated" not in (option.help or "") else ""
    return shown, f"{_plain(option.help)}{many}" or "–"


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _plain(text: str | None) -> str:
    return _cell(escape(" ".join((text or "").split()), quote=False))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
